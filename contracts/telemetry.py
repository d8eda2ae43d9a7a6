"""What a running child says: bulky, so it is no fact and has its own stream, tables and retention."""

from __future__ import annotations

from uuid import UUID

import msgspec

from contracts.runs import LogLevel


class LogLine(msgspec.Struct, frozen=True, array_like=True):
    """A line of output: byte offset of its start in the raw file, when it was read (Unix seconds), level, text."""

    offset: int
    time: float
    level: LogLevel
    message: str


class MetricPoint(msgspec.Struct, frozen=True, array_like=True):
    """A value that the training printed: byte offset of the line it stood in, step where known."""

    offset: int
    time: float
    name: str
    value: float
    step: int | None = None


class Refill(msgspec.Struct, frozen=True, kw_only=True):
    """Of a batch that was read again from the kept raw output: rows that are there stay, missing ones are added.

    `total` is the length of that output in bytes; rows that it brings back count as stored at `stored_at`, in
    Unix seconds.
    """

    total: int
    stored_at: float


class TelemetryBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of an attempt's raw output from byte `start` up to byte `end`; published once.

    `end` is where the next batch starts, so the last message of a subject is the supervisor's committed position.
    `step` and `total_steps` are what the output up to `end` has said of them: with them and `end` a parser continues.
    """

    run_id: UUID
    attempt: int
    start: int
    end: int
    lines: tuple[LogLine, ...] = ()
    points: tuple[MetricPoint, ...] = ()
    progress: float | None = None
    step: int | None = None
    total_steps: int | None = None
    refill: Refill | None = None
