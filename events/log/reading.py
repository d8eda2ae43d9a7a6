"""Reads of a stream: a subject's messages, positions and moments."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from events.log import LogUnavailable
from events.log.messages import Stored
from events.log.wire import NoAnswer, Refusal, Wire

_BATCH = 1_000
_PAUSE = 0.05

_T = TypeVar("_T")


class Reader:
    """Every method raises LogUnavailable when `patience` seconds were not enough, LogReplaced without a stream."""

    def __init__(self, wire: Wire, stream: str, patience: float) -> None:
        self._wire = wire
        self._stream = stream
        self._patience = patience
        self._replicated: bool | None = None

    async def of_subject(self, subject: str, start: int = 1, limit: int | None = None) -> list[Stored]:
        """Messages of a subject (wildcards too) from position `start` on, oldest first, all appended before."""
        if not await self._is_replicated():
            return await self._available(lambda: self._batches(subject, start, limit))
        # Any replica may answer a direct get, also one that is behind: what it gives must reach the leader's last.
        return await self._available(lambda: self._batches_up_to_leader(subject, start, limit))

    async def last_position(self) -> int:
        return (await self._available(lambda: self._wire.stream_info(self._stream))).state.last_seq

    async def last_of_subject(self, subject: str) -> Stored | None:
        return await self._available(lambda: self._wire.last_of_subject(self._stream, subject))

    async def position_at(self, moment: datetime) -> int:
        """The last position stored at or before a moment. Moments are compared in whole microseconds."""
        if moment.timestamp() < 0:
            return 0
        last = await self.last_position()  # before the search: what is appended meanwhile must not count
        if moment > datetime.now(UTC) + timedelta(days=1):
            return last
        found, _ = await self._direct({"batch": 1, "start_time": _rfc3339(moment + timedelta(microseconds=1))})
        return found[0].position - 1 if found else last

    async def stored_at(self, position: int) -> datetime | None:
        if position < 1:
            return None
        found, _ = await self._direct({"batch": 1, "seq": position})
        return found[0].stored_at if found and found[0].position == position else None

    async def _is_replicated(self) -> bool:
        if self._replicated is None:
            info = await self._available(lambda: self._wire.stream_info(self._stream))
            self._replicated = info.config.num_replicas > 1
        return self._replicated

    async def _direct(self, question: dict[str, object]) -> tuple[list[Stored], int]:
        return await self._available(lambda: self._wire.direct_get(self._stream, question))

    async def _batches(self, subject: str, start: int, limit: int | None) -> list[Stored]:
        messages: list[Stored] = []
        while True:
            wanted = _BATCH if limit is None else min(_BATCH, limit - len(messages))
            found, more = await self._wire.direct_get(
                self._stream, {"seq": max(start, 1), "batch": wanted, "next_by_subj": subject}
            )
            messages += found
            if not found or not more or len(messages) == limit:
                return messages
            start = found[-1].position + 1

    async def _batches_up_to_leader(self, subject: str, start: int, limit: int | None) -> list[Stored]:
        last = await self._wire.last_of_subject(self._stream, subject)
        messages = await self._batches(subject, start, limit)
        reached = messages[-1].position if messages else start - 1
        if last is not None and last.position > reached and len(messages) != limit:
            raise NoAnswer("the replica that answered is behind")
        return messages

    async def _available(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            try:
                return await ask()
            except (NoAnswer, Refusal) as error:
                if loop.time() >= deadline or self._wire.nc.is_closed:
                    raise LogUnavailable(f"the log does not answer: {error}") from error
            await asyncio.sleep(_PAUSE)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
