"""Where facts live: the port every log implements, and what can go wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from events.event import Event, Origin, Recorded


class Conflict(Exception):
    """Somebody else appended to the aggregate since it was read. Nothing was stored."""


class LogUnavailable(Exception):
    """The log did not answer in time."""


class Undecided(LogUnavailable):
    """An append was sent, and the log did not say in time what became of it: it may be on record, or come to be.

    `aggregate_id` is whose facts would tell, where the one who appended says so.
    """

    aggregate_id: UUID | None = None


class LogReplaced(LogUnavailable):
    """The stream is gone, or another one stands in its place: positions in it mean nothing any more."""


class UnreadableFact(Exception):
    """A fact that this release cannot read: its type is unknown, or its shape is newer or broken."""

    def __init__(self, type_name: str, position: int, reason: str) -> None:
        self.type_name = type_name
        self.position = position
        self.reason = reason
        super().__init__(f"the fact {type_name} at position {position} cannot be read: {reason}")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Facts to append to one aggregate as it was read.

    `expected` is the position of the aggregate's last fact and `version` that fact's version; both 0 where it has none.
    """

    context: str
    aggregate_id: UUID
    facts: tuple[Event, ...]
    expected: int = 0
    version: int = 0


class EventLog(Protocol):
    """An append-only, totally ordered log of facts with one optimistic lock for each aggregate."""

    async def append(self, *changes: Change, origin: Origin, time: datetime | None = None) -> list[Recorded]:
        """Stores all facts of all changes or none, durably, and returns them as recorded (without `stored_at`).

        `time` is when it was decided, now by default. Raises Conflict, LogUnavailable or Undecided.
        """
        ...

    async def read(self, context: str, aggregate_id: UUID, after: int = 0) -> list[Recorded]:
        """All facts of an aggregate above position `after`, oldest first. Reads what was appended before."""
        ...

    def follow(self, after: int, contexts: Sequence[str] = ()) -> AsyncGenerator[list[Recorded], None]:
        """Batches of every fact above position `after` (of those contexts, or of all), in order, for ever.

        Each fact is given once. It survives reconnects and server restarts. A batch is not empty.
        """
        ...

    async def last_position(self, contexts: Sequence[str] = ()) -> int:
        """The position of the newest fact (of those contexts, or of all), 0 where there is none."""
        ...

    async def position_at(self, moment: datetime) -> int:
        """The position of the last fact stored at or before `moment`, 0 if there is none."""
        ...

    async def stored_at(self, position: int) -> datetime | None:
        """When the fact at `position` was stored, none where there is no such fact."""
        ...
