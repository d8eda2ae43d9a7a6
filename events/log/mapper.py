"""TrainLedger's aggregates for the library `eventsourcing`: `MAPPER_TOPIC=events.log.mapper:FactMapper`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, ProgrammingError, StoredEvent

from events.catalogue import FACTS
from events.event import Event

_encode = msgspec.json.Encoder().encode
_DECODERS = {name: msgspec.json.Decoder(kind).decode for name, kind in FACTS.items()}

_State = TypeVar("_State")


class LedgerEvent(msgspec.Struct, frozen=True):
    """A fact as the library wants its events."""

    originator_id: UUID
    originator_version: int
    fact: Event


class Replayed(msgspec.Struct, Generic[_State], frozen=True):
    """An aggregate of the ledger as the library wants its aggregates; `version` is that of its last fact."""

    id: UUID
    version: int
    state: _State


class FactMapper(Mapper[UUID]):
    """Between facts and what the recorder gives of the ledger: JSON in today's shape, the topic the wire name."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        if self.cipher is not None or self.compressor is not None:
            raise ProgrammingError("facts of the ledger are JSON for every reader, neither encrypted nor compressed")
        assert isinstance(domain_event, LedgerEvent)
        fact = domain_event.fact
        return StoredEvent(
            domain_event.originator_id, domain_event.originator_version, type(fact).__name__, _encode(fact)
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        assert isinstance(stored_event.originator_id, UUID)
        fact = _DECODERS[stored_event.topic](stored_event.state)
        return LedgerEvent(stored_event.originator_id, stored_event.originator_version, fact)


def projector(
    initial: _State, evolve: Callable[[_State, Any], _State]
) -> Callable[[Replayed[_State] | None, Iterable[LedgerEvent]], Replayed[_State] | None]:
    """For `repository.get(id, version=n, projector_func=projector(Project(), evolve))`."""

    def project(aggregate: Replayed[_State] | None, ledger_events: Iterable[LedgerEvent]) -> Replayed[_State] | None:
        for event in ledger_events:
            state = evolve(initial if aggregate is None else aggregate.state, event.fact)
            aggregate = Replayed(event.originator_id, event.originator_version, state)
        return aggregate

    return project
