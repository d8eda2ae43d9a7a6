"""Follows the raw output of one attempt from the committed byte to its end."""

from __future__ import annotations

import asyncio
import bisect
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec

from contracts.telemetry import LogLine, MetricPoint, TelemetryBatch
from services.training.parsers import OutputParser, Parsed
from services.training.telemetry import Committed, Encoded, Moved, Publisher

_CHUNK = 256 * 1024  # bytes read at once
_LARGEST = 768 * 1024  # bytes of an encoded batch; NATS takes 1 MB unless told otherwise
_MOST = 5_000  # lines and points of a batch
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 0.1  # seconds between looks at a quiet file
_NOTE_EVERY = 5.0

_Item = TypeVar("_Item", LogLine, MetricPoint)

_encode = msgspec.json.Encoder().encode


class Output:
    """Reads, parses and publishes; what it keeps in memory does not depend on how much is printed."""

    def __init__(self, publisher: Publisher, path: Path, run_id: UUID, attempt: int) -> None:
        self._publisher = publisher
        self._reader = _Reader(path, run_id, attempt)
        self._finished = asyncio.Event()

    def finish(self) -> None:
        """Nobody writes any more: `follow` returns once everything up to the end is published."""
        self._finished.set()

    async def follow(self) -> None:
        while True:
            committed = await self._publisher.recover()
            try:
                await self._follow(committed)
            except Moved:
                continue
            await self._publisher.write_note()
            return

    async def _follow(self, start: Committed) -> None:
        clock = asyncio.get_running_loop().time
        noted, pause = clock(), _SHORTEST_PAUSE
        ahead: asyncio.Task[_Chunk] | None = None
        self._reader.seek(start)
        while True:
            # Asked before reading: if nobody writes any more, then a read that finds nothing has seen the end.
            ending = ahead is None and self._finished.is_set()
            chunk = await ahead if ahead else await asyncio.to_thread(self._reader.read)
            # Reading and parsing the next chunk overlaps with publishing this one.
            ahead = asyncio.create_task(asyncio.to_thread(self._reader.read)) if chunk.whole else None
            try:
                await self._publish(chunk.batches)
            except BaseException:
                if ahead:
                    await asyncio.wait([ahead])
                raise
            if chunk.size == 0 and ending:
                await self._publish(await asyncio.to_thread(self._reader.finish))
                return
            if clock() - noted > _NOTE_EVERY:
                noted = clock()
                await self._publisher.write_note()
            if not chunk.whole:
                pause = _SHORTEST_PAUSE if chunk.size else min(pause * 1.5, _LONGEST_PAUSE)
                await self._pause(pause)

    async def _publish(self, batches: list[Encoded]) -> None:
        for batch in batches:
            await self._publisher.publish(batch)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._finished.wait()
        except TimeoutError:
            return


def digest(path: Path, length: int) -> str | None:
    """SHA-256 in hex of the first `length` bytes, none where somebody took the file away."""
    sha256 = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while length > 0 and (data := file.read(min(length, 4 * _CHUNK))):
                sha256.update(data)
                length -= len(data)
    except FileNotFoundError:
        return None
    return sha256.hexdigest() if length == 0 else None


class _Chunk(msgspec.Struct, frozen=True):
    """`size` bytes were read; `whole`: as many as a read takes, so more is waiting."""

    batches: list[Encoded]
    size: int
    whole: bool


class _Reader:
    """Used by one thread at a time."""

    def __init__(self, path: Path, run_id: UUID, attempt: int) -> None:
        self._path = path
        self._run_id = run_id
        self._attempt = attempt
        self.seek(Committed())

    def seek(self, start: Committed) -> None:
        self._position = self._published = start.end
        self._step, self._total_steps = start.step, start.total_steps
        self._parser = OutputParser(start.end, step=start.step, total_steps=start.total_steps)

    def read(self) -> _Chunk:
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(self._position)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            data = b""  # nothing was printed yet
        self._position += len(data)
        parsed = self._parser.feed(data, time.time()) if data else None
        return _Chunk(self._batches(parsed) if parsed else [], len(data), len(data) == _CHUNK)

    def finish(self) -> list[Encoded]:
        return self._batches(self._parser.finish(time.time()))

    def _batches(self, parsed: Parsed) -> list[Encoded]:
        if parsed.end == self._published:
            return []
        batch = TelemetryBatch(
            run_id=self._run_id,
            attempt=self._attempt,
            start=self._published,
            end=parsed.end,
            lines=parsed.lines,
            points=parsed.points,
            progress=parsed.progress,
            step=parsed.step,
            total_steps=parsed.total_steps,
        )
        before, self._published = (self._step, self._total_steps), parsed.end
        self._step, self._total_steps = parsed.step, parsed.total_steps
        return list(_divided(batch, before))


def _divided(batch: TelemetryBatch, before: tuple[int | None, int | None]) -> Iterator[Encoded]:
    """The batch in as few parts as the limits allow, each from one line's start to another's.

    What is known of the steps only at the batch's end stands in the last part, in the others what was known `before`.
    """
    payload = _encode(batch)
    offsets = sorted({item.offset for items in (batch.lines, batch.points) for item in items} - {batch.start})
    fits = len(payload) <= _LARGEST and len(batch.lines) + len(batch.points) <= _MOST
    if fits or not offsets:
        yield Encoded(batch.start, batch.end, batch.step, batch.total_steps, payload)
        return
    middle = offsets[len(offsets) // 2]
    step, total_steps = before
    first = _part(batch, batch.start, middle)
    yield from _divided(msgspec.structs.replace(first, progress=None, step=step, total_steps=total_steps), before)
    yield from _divided(_part(batch, middle, batch.end), before)


def _part(batch: TelemetryBatch, start: int, end: int) -> TelemetryBatch:
    def within(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
        low, high = (bisect.bisect_left(items, offset, key=_offset) for offset in (start, end))
        return items[low:high]

    return msgspec.structs.replace(batch, start=start, end=end, lines=within(batch.lines), points=within(batch.points))


def _offset(item: LogLine | MetricPoint) -> int:
    return item.offset
