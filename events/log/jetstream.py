"""The log of facts on NATS JetStream."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from uuid import UUID

from nats.aio.client import Client

from events.event import Origin, Recorded
from events.log import Change, subjects
from events.log.changes import plan
from events.log.envelope import decode
from events.log.follow import follow
from events.log.group_commit import GroupCommit
from events.log.reading import Reader
from events.log.streams import EVENTS
from events.log.wire import Wire

_ROOM_FOR_HEADERS = 4_096


class JetStreamLog:
    """Implements `events.log.EventLog`.

    `nc` stays the caller's, who connects it with `max_reconnect_attempts=-1`. `answer_timeout`: seconds for one answer
    of the server; `patience`: seconds until an append that cannot be settled, or a read that cannot be completed, ends
    as LogUnavailable.
    """

    def __init__(
        self, nc: Client, *, stream: str = EVENTS, answer_timeout: float = 3.0, patience: float = 10.0
    ) -> None:
        self._nc = nc
        self._stream = stream
        self._wire = Wire(nc, answer_timeout)
        self._reader = Reader(self._wire, stream, patience)
        self._commits = GroupCommit(self._wire, stream, patience)

    async def append(self, *changes: Change, origin: Origin, time: datetime | None = None) -> list[Recorded]:
        """As the port says. ValueError: what no log stores (see `plan`), or a fact larger than the server takes."""
        planned = plan(changes, origin, time)
        if not planned.writes:
            return []
        for write in planned.writes:
            for message in write.messages:
                if len(message.body) + _ROOM_FOR_HEADERS > self._nc.max_payload:
                    raise ValueError(f"a fact of {len(message.body)} bytes is larger than the server takes")
        return planned.recorded(await self._commits.append(planned.writes))

    async def read(self, context: str, aggregate_id: UUID, after: int = 0) -> list[Recorded]:
        subject = subjects.of_aggregate(context, aggregate_id)
        return [decode(stored) for stored in await self._reader.of_subject(subject, after + 1)]

    async def follow(self, after: int, contexts: Sequence[str] = ()) -> AsyncGenerator[list[Recorded], None]:
        """As the port says. LogReplaced when the stream is gone or another one; UnreadableFact."""
        wanted = [subjects.of_context(context) for context in contexts]
        async with contextlib.aclosing(follow(self._wire, self._stream, after, wanted)) as batches:
            async for batch in batches:
                yield [decode(stored) for stored in batch]

    async def last_position(self, contexts: Sequence[str] = ()) -> int:
        if not contexts:
            return await self._reader.last_position()
        newest = [await self._reader.last_of_subject(subjects.of_context(context)) for context in contexts]
        return max(stored.position if stored else 0 for stored in newest)

    async def position_at(self, moment: datetime) -> int:
        return await self._reader.position_at(moment)

    async def stored_at(self, position: int) -> datetime | None:
        return await self._reader.stored_at(position)
