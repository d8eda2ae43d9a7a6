"""What of a run can be read beside its detail: its whole log, every metric point, artifacts, and why it came so."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from contracts.runs import Artifact, LogEntry
from contracts.telemetry import PointSource
from events.runs import RunStatus

LogStream = Literal["stdout", "stderr", "ledger"]


class RunLogEntry(LogEntry, frozen=True, kw_only=True):
    """A line of a run's log.

    `offset` counts the entries before it in what was asked for: the query parameter `offset` of the same value begins
    with it. `stream` is `stdout` or `stderr` for a line of the child, at `byte_offset` of that raw output of `attempt`,
    and `ledger` for one that tells what the ledger has on record; that stands in no output.
    """

    offset: int
    stream: LogStream
    attempt: int | None = None
    byte_offset: int | None = None


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """`GET …/logs` by `page` and `page_size`; `total` counts every entry that was asked for, on all pages."""

    run_id: UUID
    total: int
    page: int
    page_size: int
    entries: tuple[RunLogEntry, ...]


class LogSlice(msgspec.Struct, frozen=True, kw_only=True):
    """`GET …/logs` by `offset` and `limit`, or by `tail`; `offset` is that of the first entry."""

    run_id: UUID
    total: int
    offset: int
    limit: int
    entries: tuple[RunLogEntry, ...]


class StreamedEntry(LogEntry, frozen=True, kw_only=True):
    """The data of an event of the live log."""

    stream: LogStream
    attempt: int | None = None
    byte_offset: int | None = None


class MetricValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the training printed; `value` is none where it was no finite number, `step` where none was said.

    `source` is `trainer_log` where LLaMA-Factory's own log of unrounded values has it, at its byte `byte_offset`.
    """

    name: str
    step: int | None
    value: float | None
    timestamp: str
    attempt: int
    byte_offset: int
    source: PointSource = "output"


class RunMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """`GET …/metrics`: points in the order in which they were printed; `total` counts those that were asked for."""

    run_id: UUID
    total: int
    points: tuple[MetricValue, ...]


class RunArtifacts(msgspec.Struct, frozen=True, kw_only=True):
    """`GET …/artifacts`, in the order in which they were recorded."""

    run_id: UUID
    artifacts: tuple[Artifact, ...]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of a run. `kind`: somebody `asked` for something, the ledger `decided` it, or a node `observed` it.

    `actor` is a person's id or `service:<name>`, `name` how people call it, none where a person was erased. `sentence`
    is in the language that was asked for.
    """

    position: int
    time: str
    fact: str
    kind: Literal["asked", "decided", "observed"]
    actor: str
    name: str | None
    command_id: UUID
    correlation_id: str | None
    causation_id: str | None
    sentence: str


class RunExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """`GET …/explain`: the causal chain, oldest first. `why` tells the end, none while there is none."""

    run_id: UUID
    status: RunStatus
    why: str | None
    chain: tuple[Step, ...]
