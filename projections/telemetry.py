"""Telemetry: what running children said, appended to the tables `logs`, `metrics` and `run_telemetry`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, update

from contracts.telemetry import TRAINER_LOG, TelemetryBatch
from projections.metric_sources import exact_names, trained_up_to
from projections.positions import advance
from projections.refilling import refill
from projections.rows import insert_all, insert_values, storable
from projections.tables import TELEMETRY, logs, metrics, run_telemetry, to_column

_METRIC_NAME_LENGTH = 200


class StoredTelemetry(msgspec.Struct, frozen=True):
    """A batch as the stream TELEMETRY holds it; `batch` is none where the message could not be read."""

    position: int
    stored_at: datetime
    batch: TelemetryBatch | None


class _Said(msgspec.Struct):
    """What an attempt had said up to byte `end`, in `lines` lines, and up to byte `trained` of the trainer's own log.

    `stored`: there is a row that says so. `exact` are the metrics that the trainer's own log gives: what is printed of
    them is rounded and counts no more.
    """

    end: int = 0
    progress: float | None = None
    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    lines: int = 0
    trained: int = 0
    stored: bool = False
    exact: set[str] = msgspec.field(default_factory=set)


class _Appended:
    """The rows to insert, of each table; `said_again` are those of which more became known without more output."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, int], dict[int, tuple[Any, ...]]] = {}
        self.metrics: dict[tuple[str, int, int, str], dict[str, Any]] = {}
        self.said: dict[tuple[str, int, int], dict[str, Any]] = {}
        self.said_again: dict[tuple[str, int, int], dict[str, Any]] = {}

    def lines(self, run_id: str, attempt: int) -> dict[int, tuple[Any, ...]]:
        """Those of an attempt, by their offset, to be added to: their values in the order of the table's columns."""
        return self._logs.setdefault((run_id, attempt), {})

    def flush(self, connection: Connection) -> None:
        insert_values(connection, logs, chain.from_iterable(lines.values() for lines in self._logs.values()))
        insert_all(connection, metrics, self.metrics.values())
        for key in self.said.keys() & self.said_again.keys():
            self.said[key] = self.said_again.pop(key)
        insert_all(connection, run_telemetry, self.said.values())
        for (run_id, attempt, end), row in self.said_again.items():
            connection.execute(
                update(run_telemetry)
                .where(
                    run_telemetry.c.run_id == run_id,
                    run_telemetry.c.attempt == attempt,
                    run_telemetry.c.end_offset == end,
                )
                .values({name: row[name] for name in ("stored_at", "progress", "metrics")})
            )
        self._logs.clear()
        self.metrics.clear()
        self.said.clear()
        self.said_again.clear()


def append_telemetry(connection: Connection, messages: Sequence[StoredTelemetry], after: int) -> int:
    """Applies the batches above position `after` in the caller's transaction and returns the new position.

    What was applied before, by another name of the same bytes, is skipped: a byte of an attempt's output counts once.
    Raises Overtaken where the tables are not at `after`; then the caller rolls back.
    """
    fresh = [message for message in messages if message.position > after]
    if not fresh:
        return after
    position = fresh[-1].position
    advance(connection, TELEMETRY, after, position)
    said: dict[tuple[str, int], _Said] = {}
    appended = _Appended()
    for message in fresh:
        batch = message.batch
        if batch is None:
            continue
        if batch.refill is not None:
            appended.flush(connection)
            said.clear()
            refill(connection, batch)
            continue
        key = (str(batch.run_id), batch.attempt)
        if key not in said:
            said[key] = _said(connection, *key)
        _append(appended, said[key], batch, to_column(message.stored_at))
    appended.flush(connection)
    return position


def _said(connection: Connection, run_id: str, attempt: int) -> _Said:
    statement = (
        select(run_telemetry.c.end_offset, run_telemetry.c.progress, run_telemetry.c.metrics, run_telemetry.c.lines)
        .where(run_telemetry.c.run_id == run_id, run_telemetry.c.attempt == attempt)
        .order_by(run_telemetry.c.end_offset.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return _Said()
    exact = exact_names(connection, run_id, attempt)
    lines = count_lines(connection, run_id, attempt, row[0]) if row[3] is None else row[3]
    trained = trained_up_to(connection, run_id, attempt) if exact else 0
    return _Said(row[0], row[1], metrics_from_column(row[2]), lines, trained, True, exact)


def count_lines(connection: Connection, run_id: str, attempt: int, end: int) -> int:
    """The lines before byte `end`, one by one."""
    statement = select(func.count()).where(logs.c.run_id == run_id, logs.c.attempt == attempt, logs.c.byte_offset < end)
    return connection.execute(statement).scalar_one()


def _append(appended: _Appended, said: _Said, batch: TelemetryBatch, stored_at: int) -> None:
    trained = batch.ends.trainer_log if batch.ends else 0
    if batch.end <= said.end and trained <= said.trained:
        return
    run_id, attempt, applied = str(batch.run_id), batch.attempt, said.end
    lines = appended.lines(run_id, attempt)
    before = len(lines)
    read_at, time = 0.0, 0  # lines that were read together have one time
    for line in batch.lines:
        offset, at = line.offset, line.at
        if offset < applied:
            continue
        if line.time != read_at:
            read_at, time = line.time, round(line.time * 1_000_000)
        message = storable(line.message)
        at = offset if at is None else at
        lines[offset] = (run_id, attempt, offset, time, stored_at, line.level, message, line.stream, at)
    said.lines += len(lines) - before
    for point in batch.points:
        if point.offset < (said.trained + TRAINER_LOG if point.source == "trainer_log" else applied):
            continue
        name = storable(point.name)[:_METRIC_NAME_LENGTH]
        appended.metrics[run_id, attempt, point.offset, name] = {
            "run_id": run_id,
            "attempt": attempt,
            "byte_offset": point.offset,
            "name": name,
            "step": point.step,
            "value": point.value,
            "time": round(point.time * 1_000_000),
            "stored_at": stored_at,
            "source": point.source,
            "stream_offset": point.offset if point.at is None else point.at,
        }
        if point.source == "trainer_log":
            said.exact.add(name)
        elif name in said.exact:
            continue
        if point.value is None:
            said.metrics.pop(name, None)  # the latest value is no number: an older one would pass for it
        else:
            said.metrics[name] = point.value
    said.trained = max(said.trained, trained)
    if batch.progress is not None:
        said.progress = max(said.progress or 0.0, min(batch.progress, 1.0))
    said.end = max(said.end, batch.end)
    row = {
        "run_id": run_id,
        "attempt": attempt,
        "end_offset": said.end,
        "stored_at": stored_at,
        "progress": said.progress,
        "metrics": msgspec.json.encode(said.metrics).decode(),
        "lines": said.lines,
    }
    if said.end > applied or not said.stored:
        appended.said[run_id, attempt, said.end] = row
        said.stored = True
    else:
        appended.said_again[run_id, attempt, said.end] = row


def metrics_from_column(text: str) -> dict[str, float]:
    return msgspec.json.decode(text, type=dict[str, float])
