"""Follows what one attempt says from the committed byte to its end."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections.abc import Iterator
from uuid import UUID

import msgspec

from contracts.telemetry import Ends, LogLine, MetricPoint, TelemetryBatch
from services.training.merging import Files, Merged, Merger
from services.training.telemetry import Committed, Encoded, Moved, Publisher

_CHUNK = 256 * 1024  # bytes read at once
_LARGEST = 768 * 1024  # bytes of an encoded batch; NATS takes 1 MB unless told otherwise
_MOST = 5_000  # lines and points of a batch
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 0.1  # seconds between looks at a quiet file
_NOTE_EVERY = 5.0
_UNNOTED = 1.0  # seconds that the wrapper's notes on the order may be behind

_encode = msgspec.json.Encoder().encode


class Output:
    """Reads, parses and publishes; what it keeps in memory does not depend on how much is printed."""

    def __init__(self, publisher: Publisher, files: Files, run_id: UUID, attempt: int) -> None:
        self._publisher = publisher
        self._reader = _Reader(files, run_id, attempt)
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
            chunk = await ahead if ahead else await asyncio.to_thread(self._reader.read, ending)
            # Reading and parsing the next chunk overlaps with publishing this one.
            ahead = asyncio.create_task(asyncio.to_thread(self._reader.read)) if chunk.more else None
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
            if not chunk.more:
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


class _Chunk(msgspec.Struct, frozen=True):
    """`size` bytes were read; `more` are waiting."""

    batches: list[Encoded]
    size: int
    more: bool


class _Reader:
    """Used by one thread at a time."""

    def __init__(self, files: Files, run_id: UUID, attempt: int) -> None:
        self._files = files
        self._run_id = run_id
        self._attempt = attempt
        self.seek(Committed())

    def seek(self, start: Committed) -> None:
        self._published = start.ends
        self._step, self._total_steps = start.step, start.total_steps
        self._merger = Merger(self._files, start.ends, step=start.step, total_steps=start.total_steps)
        self._quiet_since = time.monotonic()

    def read(self, ending: bool = False) -> _Chunk:
        """With `ending`, or once whoever notes the order has not done so for a while, all that is there."""
        merged = self._merger.read(_CHUNK, time.time())
        if merged.size:
            self._quiet_since = time.monotonic()
        elif (ending or time.monotonic() - self._quiet_since > _UNNOTED) and self._merger.unnoted():
            self._merger.note()
            merged = self._merger.read(_CHUNK, time.time())
        return _Chunk(self._batches(merged), merged.size, merged.more)

    def finish(self) -> list[Encoded]:
        return self._batches(self._merger.finish(time.time()))

    def _batches(self, merged: Merged) -> list[Encoded]:
        if merged.end in (self._published, msgspec.structs.replace(self._published, order=merged.end.order)):
            return []
        batch = TelemetryBatch(
            run_id=self._run_id,
            attempt=self._attempt,
            start=self._published.output,
            end=merged.end.output,
            lines=merged.lines,
            points=merged.points,
            progress=merged.progress,
            step=merged.step,
            total_steps=merged.total_steps,
            ends=merged.end,
        )
        before = Committed(ends=self._published, step=self._step, total_steps=self._total_steps)
        self._published = merged.end
        self._step, self._total_steps = merged.step, merged.total_steps
        return list(_divided(batch, before))


def _divided(batch: TelemetryBatch, before: Committed) -> Iterator[Encoded]:
    """The batch in as few parts as the limits allow, each from one line's start to another's.

    What is known of the steps only at the batch's end stands in the last part, in the others what was known `before`.
    """
    payload = _encode(batch)
    fits = len(payload) <= _LARGEST and len(batch.lines) + len(batch.points) <= _MOST
    items = {} if fits else {item.offset: item for item in batch.lines if item.offset != batch.start}
    if not items:
        assert batch.ends is not None
        yield Encoded(batch.ends, batch.step, batch.total_steps, payload)
        return
    offsets = sorted(items)
    middle = items[offsets[len(offsets) // 2]]
    # The notes on the order are read again from where the batch found them.
    at = middle.offset if middle.at is None else middle.at
    sides = (at, middle.offset - at) if middle.stream == "stdout" else (middle.offset - at, at)
    ends = Ends(*sides, before.ends.trainer_log, before.ends.order)
    line, point = (bisect.bisect_left(found, middle.offset, key=_offset) for found in (batch.lines, batch.points))
    first = msgspec.structs.replace(
        batch,
        end=middle.offset,
        lines=batch.lines[:line],
        points=batch.points[:point],
        progress=None,
        step=before.step,
        total_steps=before.total_steps,
        ends=ends,
    )
    yield from _divided(first, before)
    second = msgspec.structs.replace(batch, start=middle.offset, lines=batch.lines[line:], points=batch.points[point:])
    yield from _divided(second, msgspec.structs.replace(before, ends=ends))


def _offset(item: LogLine | MetricPoint) -> int:
    return item.offset
