"""From changes to messages, and to recorded facts once their positions are known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec

from events.event import Event, Meta, Origin, Recorded
from events.log import Change
from events.log.envelope import encode
from events.log.messages import Write

MOST_FACTS = 1_000  # in one append: the limit of a JetStream batch


class _Planned(msgspec.Struct, frozen=True):
    id: UUID
    fact: Event
    change: Change
    version: int


class Plan(msgspec.Struct, frozen=True):
    """What an append will write; facts in the order given, one write for each aggregate."""

    writes: tuple[Write, ...]
    planned: tuple[_Planned, ...]
    time: datetime
    origin: Origin

    def recorded(self, first: int) -> list[Recorded]:
        """The facts as recorded from position `first` on."""
        return [
            Recorded(
                planned.fact,
                Meta(
                    id=planned.id,
                    context=planned.change.context,
                    aggregate_id=planned.change.aggregate_id,
                    version=planned.version,
                    position=position,
                    time=self.time,
                    origin=self.origin,
                ),
            )
            for position, planned in enumerate(self.planned, first)
        ]


def plan(changes: Sequence[Change], origin: Origin, time: datetime | None) -> Plan:
    """ValueError: two changes of one aggregate, a fact of another context, or more than MOST_FACTS facts."""
    time = datetime.now(UTC) if time is None else time.astimezone(UTC)
    writes: list[Write] = []
    planned: list[_Planned] = []
    for change in changes:
        messages = []
        for version, fact in enumerate(change.facts, change.version + 1):
            if fact.context != change.context:
                raise ValueError(f"{type(fact).__name__} is a fact of {fact.context}, not of {change.context}")
            event_id = uuid4()
            planned.append(_Planned(event_id, fact, change, version))
            messages.append(
                encode(
                    fact,
                    event_id=event_id,
                    context=change.context,
                    aggregate_id=change.aggregate_id,
                    version=version,
                    time=time,
                    origin=origin,
                )
            )
        if messages:
            writes.append(Write(messages[0].subject, change.expected, tuple(messages)))
    if len({write.subject for write in writes}) < len(writes):
        raise ValueError("two changes of one aggregate in one append")
    if len(planned) > MOST_FACTS:
        raise ValueError(f"{len(planned)} facts in one append, at most {MOST_FACTS} are possible")
    return Plan(tuple(writes), tuple(planned), time, origin)
