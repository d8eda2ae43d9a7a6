"""How events of the library `eventsourcing` lie in a stream: as facts in the ledger, as opaque bytes anywhere else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid4

import msgspec
from eventsourcing.persistence import Notification, NotSupportedError, ProgrammingError, StoredEvent

from events.catalogue import FACTS
from events.event import Origin
from events.log import envelope, subjects
from events.log.envelope import percent_decode, percent_encode
from events.log.messages import Outgoing, Stored

# What stays as it is in a token of a subject; the rest is percent-encoded.
_UNSAFE_IN_TOKEN = re.compile(r"[^A-Za-z0-9_-]+")
_OPAQUE = "application/octet-stream"


class Layout(Protocol):
    """Where a stored event goes and how it is spelt."""

    every: str  # the subjects of all events

    def of_originator(self, originator_id: UUID | str) -> str:
        """The subjects of one originator, possibly with a wildcard."""
        ...

    def encode(self, event: StoredEvent, origin: Origin | None) -> Outgoing: ...

    def decode(self, stored: Stored) -> StoredEvent: ...


class LedgerLayout:
    """TrainLedger's own stream: topics are wire names, states are facts as JSON in today's shape."""

    every = subjects.ALL

    def of_originator(self, originator_id: UUID | str) -> str:
        return f"events.*.{originator_id}"

    def encode(self, event: StoredEvent, origin: Origin | None) -> Outgoing:
        """NotSupportedError: not a fact of the catalogue. ValueError: not its shape."""
        kind = FACTS.get(event.topic)
        if kind is None:
            raise NotSupportedError(
                f"{event.topic} is no fact of the ledger; set NATS_STREAM to give the application a stream of its own"
            )
        if not isinstance(event.originator_id, UUID):
            raise ProgrammingError("aggregates of the ledger have UUIDs")
        return envelope.encode(
            msgspec.json.decode(event.state, type=kind),
            event_id=uuid4(),
            context=kind.context,
            aggregate_id=event.originator_id,
            version=event.originator_version,
            time=datetime.now(UTC),
            origin=origin or Origin(actor="service:eventsourcing", command_id=uuid4()),
        )

    def decode(self, stored: Stored) -> StoredEvent:
        """UnreadableFact: this release cannot read it."""
        headers = stored.headers
        kind = FACTS.get(headers.get("ce-type", ""))
        if kind is not None and headers.get("ce-revision", "1") == str(kind.revision):
            version, state, aggregate_id = int(headers["ce-aggregateversion"]), stored.body, stored.subject[-36:]
            return StoredEvent(msgspec.convert(aggregate_id, UUID), version, kind.__name__, state)
        recorded = envelope.decode(stored)
        state = msgspec.json.encode(recorded.fact)
        return StoredEvent(recorded.meta.aggregate_id, recorded.meta.version, type(recorded.fact).__name__, state)


class LibraryLayout:
    """A stream of one application: originators, topics and states are whatever the library gives."""

    def __init__(self, stream: str, purpose: str) -> None:
        self._root = f"eventsourcing.{stream}.{purpose}"
        self._source = f"/eventsourcing/{stream}"
        self.every = f"{self._root}.*"

    def of_originator(self, originator_id: UUID | str) -> str:
        return f"{self._root}.{token(str(originator_id))}"

    def encode(self, event: StoredEvent, origin: Origin | None) -> Outgoing:
        event_id, originator = str(uuid4()), str(event.originator_id)
        headers = {
            "ce-specversion": "1.0",
            "ce-id": event_id,
            "ce-type": percent_encode(event.topic),
            "ce-source": self._source,
            "ce-subject": percent_encode(originator),
            "ce-time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "ce-datacontenttype": _OPAQUE,
            "content-type": _OPAQUE,
            "ce-aggregateversion": str(event.originator_version),
        }
        if isinstance(event.originator_id, UUID):
            headers["ce-originatortype"] = "uuid"
        if origin is not None:
            headers |= {"ce-actor": percent_encode(origin.actor), "ce-commandid": str(origin.command_id)}
        return Outgoing(self.of_originator(event.originator_id), event_id, headers, event.state)

    def decode(self, stored: Stored) -> StoredEvent:
        headers = stored.headers
        originator = percent_decode(headers["ce-subject"])
        return StoredEvent(
            UUID(originator) if "ce-originatortype" in headers else originator,
            int(headers["ce-aggregateversion"]),
            percent_decode(headers["ce-type"]),
            stored.body,
        )


def notification(stored: Stored, event: StoredEvent) -> Notification:
    return Notification(event.originator_id, event.originator_version, event.topic, event.state, id=stored.position)


def token(text: str) -> str:
    """Any text as one token of a subject."""
    encoded = _UNSAFE_IN_TOKEN.sub(lambda unsafe: "".join(f"%{byte:02X}" for byte in unsafe[0].encode()), text)
    return encoded or "%"
