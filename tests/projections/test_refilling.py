"""Output that was read again: what is missing comes back, what is there stays, however often it comes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, delete, select

from contracts.telemetry import LogLine, MetricPoint, Refill, TelemetryBatch
from events.runs import RunAssigned, RunCompleted, RunStarted
from projections.database import Database
from projections.queries.run_output import LogOfRun, LogPart, log_of_run
from projections.queries.runs import run_detail
from projections.queries.wanted_lines import Wanted
from projections.tables import logs, metrics, run_telemetry
from tests.projections.histories import History, identify, project_created, run_requested
from tests.projections.tables import append_all, ask, fold_all

PROJECT, RUN = identify("project"), identify("run")
END = RunCompleted(attempt=1, output_bytes=200, output_sha256="0" * 64)
HISTORY = (
    History()
    .add(PROJECT, project_created())
    .add(RUN, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1))
    .add(RUN, END)
    .facts
)
TIME, AGAIN = 1_700_000_000.5, 1_800_000_000.0
MARK = Refill(total=200, stored_at=AGAIN)


def batches(size: int, mark: Refill | None = None) -> list[TelemetryBatch]:
    """Twenty lines of ten bytes in batches of `size`; every fifth line is of metrics."""
    time = TIME if mark is None else AGAIN
    found = []
    for first in range(0, 20, size):
        numbers = range(first, min(first + size, 20))
        lines = tuple(LogLine(10 * number, time, "INFO", f"line {number}") for number in numbers)
        points = tuple(
            MetricPoint(10 * number, time, "loss", 1 / (number + 1), number) for number in numbers if number % 5 == 4
        )
        found.append(
            TelemetryBatch(
                run_id=RUN,
                attempt=1,
                start=10 * first,
                end=10 * numbers.stop,
                lines=lines,
                points=points,
                progress=numbers.stop / 20,
                refill=mark,
            )
        )
    return found


def rows(database: Database, *names: str) -> list[Any]:
    """What is in the tables, but for when it was stored and read."""
    found: list[Any] = []
    for table in (logs, metrics, run_telemetry):
        columns = [column for column in table.columns if column.name not in ("time", "stored_at")]
        statement = select(*columns).order_by(*table.primary_key.columns)
        if not names or table.name in names:
            with database.reading() as connection:
                found += connection.execute(statement)
    return found


def log_of(connection: Connection) -> LogOfRun:
    log = log_of_run(connection, RUN)
    assert log is not None
    return log


def part(database: Database, skip: int, limit: int) -> LogPart:
    return ask(database, lambda connection: log_of(connection).part(Wanted(), skip=skip, limit=limit))


def change(database: Database, statement: Any) -> None:
    with database.writing() as connection:
        connection.execute(statement)


@pytest.fixture
def ended(database: Database) -> Database:
    fold_all(database, HISTORY)
    append_all(database, *batches(3))
    return database


def test_a_whole_output_fills_empty_tables(database: Database) -> None:
    fold_all(database, HISTORY)
    append_all(database, *batches(4, MARK))
    found = ask(database, lambda connection: log_of(connection).tail(Wanted(), 3))
    assert (found.total, [line.message for line in found.lines]) == (23, ["line 18", "line 19"])
    detail = ask(database, lambda connection: run_detail(connection, RUN))
    assert detail is not None
    assert detail.metrics == {"loss": 1 / 20}
    again = ask(database, lambda connection: connection.execute(select(logs.c.stored_at)).scalars().first())
    assert again == round(AGAIN * 1_000_000)


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_only_what_is_missing_is_added(ended: Database, size: int) -> None:
    whole, kept = rows(ended, "logs", "metrics"), rows(ended, "run_telemetry")
    change(ended, delete(logs).where(logs.c.byte_offset.between(40, 110)))
    change(ended, delete(metrics).where(metrics.c.byte_offset == 90))
    append_all(ended, *batches(size, MARK), after=7)
    assert rows(ended, "logs", "metrics") == whole
    assert set(kept) <= set(rows(ended, "run_telemetry"))
    times = ask(
        ended, lambda connection: connection.execute(select(logs.c.time).order_by(logs.c.byte_offset)).scalars()
    )
    again = [time == round(AGAIN * 1_000_000) for time in times]
    assert again == [40 <= 10 * number <= 110 for number in range(20)]
    before = rows(ended)
    append_all(ended, *batches(size, MARK), after=7 + len(batches(size)))
    assert rows(ended) == before


def test_counts_of_lines_are_right_again_and_pages_too(ended: Database) -> None:
    change(ended, delete(logs).where(logs.c.byte_offset.between(40, 110)))
    change(ended, delete(run_telemetry).where(run_telemetry.c.end_offset > 30))
    append_all(ended, *batches(7, MARK), after=7)
    whole = [f"line {number}" for number in range(20)]
    for first in range(20):
        found = part(ended, skip=first + 2, limit=4)
        assert found.total == 23
        assert [line.message for line in found.lines] == whole[first : first + 4]
    counts = ask(
        ended, lambda connection: connection.execute(select(run_telemetry.c.end_offset, run_telemetry.c.lines))
    )
    assert all(10 * lines == end for end, lines in counts)


def test_it_goes_on_in_the_same_transaction_as_what_came_first(database: Database) -> None:
    fold_all(database, HISTORY)
    append_all(database, *batches(5), *batches(3, MARK))
    expected = [f"line {number}" for number in range(20)]
    assert [row.message for row in rows(database, "logs")] == expected


def test_lines_that_an_earlier_release_stored_are_counted(ended: Database) -> None:
    change(ended, run_telemetry.update().values(lines=None))
    for first in (0, 7, 18):
        found = part(ended, skip=first + 2, limit=2)
        assert (found.total, found.lines[0].message) == (23, f"line {first}")
