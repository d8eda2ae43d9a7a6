"""The log in memory: same behaviour, same bytes, gone with the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from events.event import Origin, Recorded
from events.log import Change, Conflict, LogReplaced, subjects
from events.log.changes import plan
from events.log.envelope import decode
from events.log.messages import Stored

_BATCH = 1_000


class MemoryLog:
    """Implements `events.log.EventLog`, for tests and for trying things out. One event loop only."""

    def __init__(self) -> None:
        self._messages: list[Stored] = []
        self._of_subject: dict[str, list[int]] = {}
        self._grown = asyncio.Event()

    def store(self, subject: str, headers: dict[str, str], body: bytes) -> int:
        """Appends a message as it is, as any publisher could; returns its position."""
        position = len(self._messages) + 1
        self._messages.append(Stored(position, subject, headers, body, datetime.now(UTC)))
        self._of_subject.setdefault(subject, []).append(position)
        self._grown.set()
        self._grown = asyncio.Event()
        return position

    async def append(self, *changes: Change, origin: Origin, time: datetime | None = None) -> list[Recorded]:
        planned = plan(changes, origin, time)
        for write in planned.writes:
            if self._of_subject.get(write.subject, [0])[-1] != write.expected:
                raise Conflict("somebody else appended since it was read")
        first = len(self._messages) + 1
        for write in planned.writes:
            for message in write.messages:
                self.store(message.subject, message.headers, message.body)
        return planned.recorded(first)

    async def read(self, context: str, aggregate_id: UUID, after: int = 0) -> list[Recorded]:
        positions = self._of_subject.get(subjects.of_aggregate(context, aggregate_id), [])
        return [decode(self._messages[position - 1]) for position in positions if position > after]

    async def follow(self, after: int, contexts: Sequence[str] = ()) -> AsyncGenerator[list[Recorded], None]:
        if after > len(self._messages):
            raise LogReplaced(f"this log has no position {after}")
        while True:
            grown = self._grown
            batch = self._messages[after : after + _BATCH]
            if not batch:
                await grown.wait()
                continue
            after = batch[-1].position
            facts = [decode(stored) for stored in batch if not contexts or stored.subject.split(".")[1] in contexts]
            if facts:
                yield facts

    async def last_position(self, contexts: Sequence[str] = ()) -> int:
        if not contexts:
            return len(self._messages)
        newest = (stored.position for stored in reversed(self._messages) if stored.subject.split(".")[1] in contexts)
        return next(newest, 0)

    async def position_at(self, moment: datetime) -> int:
        return next(
            (stored.position for stored in reversed(self._messages) if stored.stored_at <= moment),
            0,
        )

    async def stored_at(self, position: int) -> datetime | None:
        return self._messages[position - 1].stored_at if 0 < position <= len(self._messages) else None
