"""Telemetry that was read again from the kept raw output: missing rows are added, those that are there stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, select, update

from contracts.telemetry import TelemetryBatch
from projections.metric_sources import exact_names
from projections.rows import insert_all, storable
from projections.tables import logs, metrics, run_telemetry

_METRIC_NAME_LENGTH = 200
_CHUNK = 5_000


def refill(connection: Connection, batch: TelemetryBatch) -> None:
    """Applies one batch; the batches of a whole output, in order, leave its tables complete, however often they come.

    A line keeps the time it was read at where its row is still there. One whose row was lost has the time that the
    batch gives it, since the output itself holds none.
    """
    assert batch.refill is not None
    key = (str(batch.run_id), batch.attempt)
    stored_at = round(batch.refill.stored_at * 1_000_000)
    shared = {"run_id": key[0], "attempt": key[1], "stored_at": stored_at}
    lines = (
        shared
        | {
            "byte_offset": line.offset,
            "time": round(line.time * 1_000_000),
            "level": line.level,
            "message": storable(line.message),
            "stream": line.stream,
            "stream_offset": line.offset if line.at is None else line.at,
        }
        for line in batch.lines
    )
    points = {(point.offset, storable(point.name)[:_METRIC_NAME_LENGTH]): point for point in batch.points}
    values = (
        shared
        | {
            "byte_offset": offset,
            "name": name,
            "step": point.step,
            "value": point.value,
            "time": round(point.time * 1_000_000),
            "source": point.source,
            "stream_offset": offset if point.at is None else point.at,
        }
        for (offset, name), point in points.items()
    )
    _insert_missing(connection, logs, batch, lines, ("byte_offset",))
    _insert_missing(connection, metrics, batch, values, ("byte_offset", "name"))
    _say(connection, batch, stored_at)
    if batch.end == batch.refill.total:
        _count_again(connection, *key)


def _insert_missing(
    connection: Connection,
    table: Table,
    batch: TelemetryBatch,
    rows: Iterable[Mapping[str, Any]],
    key: tuple[str, ...],
) -> None:
    found = list(rows)
    if not found:
        return
    places = [row["byte_offset"] for row in found]
    there = select(*(table.c[name] for name in key)).where(
        table.c.run_id == str(batch.run_id),
        table.c.attempt == batch.attempt,
        table.c.byte_offset.between(min(places), max(places)),
    )
    present = {tuple(row) for row in connection.execute(there)}
    insert_all(connection, table, [row for row in found if tuple(row[name] for name in key) not in present])


def _say(connection: Connection, batch: TelemetryBatch, stored_at: int) -> None:
    """What the attempt had said up to the batch's end, unless that is known."""
    of_attempt = (run_telemetry.c.run_id == str(batch.run_id), run_telemetry.c.attempt == batch.attempt)
    statement = (
        select(run_telemetry)
        .where(*of_attempt, run_telemetry.c.end_offset <= batch.end)
        .order_by(run_telemetry.c.end_offset.desc())
        .limit(1)
    )
    before = connection.execute(statement).mappings().one_or_none()
    known = before is not None and before["end_offset"] == batch.end
    if known and not any(point.source == "trainer_log" for point in batch.points):
        return
    progress: float | None = before["progress"] if before else None
    latest = msgspec.json.decode(before["metrics"], type=dict[str, float]) if before else {}
    exact = exact_names(connection, str(batch.run_id), batch.attempt)
    for point in batch.points:
        name = storable(point.name)[:_METRIC_NAME_LENGTH]
        if point.source != "trainer_log" and name in exact:
            continue
        if point.value is None:
            latest.pop(name, None)
        else:
            latest[name] = point.value
    if batch.progress is not None:
        progress = max(progress or 0.0, min(batch.progress, 1.0))
    if known:
        said = msgspec.json.encode(latest).decode()
        connection.execute(
            update(run_telemetry).where(*of_attempt, run_telemetry.c.end_offset == batch.end).values(metrics=said)
        )
        return
    row = {
        "run_id": str(batch.run_id),
        "attempt": batch.attempt,
        "end_offset": batch.end,
        "stored_at": stored_at,
        "progress": progress,
        "metrics": msgspec.json.encode(latest).decode(),
        "lines": None,  # until the last batch
    }
    insert_all(connection, run_telemetry, [row])


def _count_again(connection: Connection, run_id: str, attempt: int) -> None:
    """Every count of lines, in one pass over both tables' keys."""
    offsets = (
        select(logs.c.byte_offset)
        .where(logs.c.run_id == run_id, logs.c.attempt == attempt)
        .order_by(logs.c.byte_offset)
        .execution_options(yield_per=_CHUNK)
    )
    ends = (
        select(run_telemetry.c.end_offset)
        .where(run_telemetry.c.run_id == run_id, run_telemetry.c.attempt == attempt)
        .order_by(run_telemetry.c.end_offset)
    )
    counts: list[dict[str, int]] = []
    waiting = iter(connection.scalars(ends).all())
    end = next(waiting, None)
    count = 0
    with connection.execute(offsets) as rows:
        for (offset,) in rows:
            while end is not None and end <= offset:
                counts.append({"row_end": end, "row_lines": count})
                end = next(waiting, None)
            count += 1
    while end is not None:
        counts.append({"row_end": end, "row_lines": count})
        end = next(waiting, None)
    if counts:
        connection.execute(
            update(run_telemetry)
            .where(
                run_telemetry.c.run_id == run_id,
                run_telemetry.c.attempt == attempt,
                run_telemetry.c.end_offset == bindparam("row_end"),
            )
            .values(lines=bindparam("row_lines")),
            counts,
        )
