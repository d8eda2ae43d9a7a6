"""What a running child says: bulky, so it is no fact and has its own stream, tables and retention."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from contracts.runs import LogLevel

Stream = Literal["stdout", "stderr"]
PointSource = Literal["output", "trainer_log"]
TRAINER_LOG = 2**52  # behind every byte of output


class LogLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A line of output: its place, when it was read (Unix seconds), level, text, and where it was printed.

    `offset` is how many bytes of both streams come before it; `at` is the byte in the raw file of its own stream where
    it starts, none where that is the same.
    """

    offset: int
    time: float
    level: LogLevel
    message: str
    stream: Stream = "stdout"
    at: int | None = None


class MetricPoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value that the training printed, or wrote into LLaMA-Factory's trainer_log.jsonl; step where known.

    `value` is none where that was no finite number: a loss that has become nan.
    `offset` and `at` are those of the line that it stood in; places in the trainer's log begin at TRAINER_LOG.
    """

    offset: int
    time: float
    name: str
    value: float | None
    step: int | None = None
    source: PointSource = "output"
    at: int | None = None


class Ends(msgspec.Struct, frozen=True, array_like=True):
    """How far each file of an attempt was read, in bytes; `order` holds the notes on how the streams interleave."""

    stdout: int = 0
    stderr: int = 0
    trainer_log: int = 0
    order: int = 0

    @property
    def output(self) -> int:
        return self.stdout + self.stderr


class Refill(msgspec.Struct, frozen=True, kw_only=True):
    """Of a batch that was read again from the kept raw output: rows that are there stay, missing ones are added.

    `total` is the length of that output in bytes; rows that it brings back count as stored at `stored_at`, in
    Unix seconds.
    """

    total: int
    stored_at: float


class TelemetryBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt printed from byte `start` of both streams up to byte `end`; published once.

    `end` is where the next batch starts, so the last message of a subject is the supervisor's committed position;
    `ends` says how it divides, and how far the trainer's log was read, none where there is stdout only.
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
    ends: Ends | None = None
