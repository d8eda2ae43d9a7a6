"""Any part of a log and of its metrics, the same on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from sqlalchemy import Connection, create_engine

from contracts.runs import LogEntry
from contracts.telemetry import LogLine, MetricPoint, TelemetryBatch
from events.runs import RunAssigned, RunCompleted, RunStarted
from projections.database import Database
from projections.queries import run_output
from projections.queries.cut import NOW
from projections.queries.run_logs import _lines_from, latest_output
from projections.queries.run_metrics import After, Series, metric_page, thinned_metrics
from projections.queries.run_output import BEGINNING, Line, LogOfRun, Place, log_of_run, texts
from projections.queries.wanted_lines import Wanted
from projections.tables import logs
from tests.projections.histories import History, identify, project_created, run_requested
from tests.projections.tables import append_all, ask, cut_at, fold_all

PROJECT, RUN = identify("project"), identify("run")
STARTED = (
    History()
    .add(PROJECT, project_created())
    .add(
        RUN,
        run_requested(PROJECT),
        RunAssigned(attempt=1, node="gpu-1", executor="local"),
        RunAssigned(attempt=2, node="gpu-1", executor="local"),
        RunStarted(attempt=2),
    )
)
ENDED = (
    History()
    .add(PROJECT, project_created())
    .add(RUN, *(entry.fact for entry in STARTED.facts[1:]))
    .add(RUN, RunCompleted(attempt=2, output_bytes=60, output_sha256=None))
)
TEXTS = ["a", "Übung 100%", "b_c", "b\\c", "数据 Loss", "last"]

T = TypeVar("T")


def batch(attempt: int, first: int, *messages: str) -> TelemetryBatch:
    numbers = range(first, first + len(messages))
    return TelemetryBatch(
        run_id=RUN,
        attempt=attempt,
        start=10 * first,
        end=10 * numbers.stop,
        lines=tuple(
            LogLine(10 * number, 1.7e9 + number, "ERROR" if number % 2 else "INFO", message)
            for number, message in zip(numbers, messages, strict=True)
        ),
        points=tuple(MetricPoint(10 * number, 1.7e9, "loss", 1.0 / (number + 1), number) for number in numbers),
    )


@pytest.fixture
def told(database: Database) -> Database:
    """Two lines of a first attempt, six of the second; the run goes on."""
    fold_all(database, STARTED.facts)
    append_all(database, batch(1, 0, "x", "y"), batch(2, 0, *TEXTS[:1]), batch(2, 1, *TEXTS[1:]), fact=3)
    return database


def of_log(database: Database, question: Callable[[LogOfRun], T]) -> T:
    def answer(connection: Connection) -> T:
        log = log_of_run(connection, RUN)
        assert log is not None
        return question(log)

    return ask(database, answer)


def part(database: Database, wanted: Wanted, skip: int, limit: int) -> list[str]:
    found = of_log(database, lambda log: log.part(wanted, skip=skip, limit=limit))
    entries: list[LogEntry | Line] = [*found.before, *found.lines, *found.after]
    return [entry.message[:30] for entry in entries]


def test_every_part_is_that_of_the_whole_also_over_attempts(told: Database) -> None:
    whole = part(told, Wanted(), 0, 100)
    assert whole[2:] == ["x", "y", *TEXTS]
    for skip in range(len(whole) + 1):
        for limit in (1, 3, 20):
            assert part(told, Wanted(), skip, limit) == whole[skip : skip + limit]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(text="100%"), ["Übung 100%"]),
        (Wanted(text="_c"), ["b_c"]),
        (Wanted(text="B\\C"), ["b\\c"]),
        (Wanted(text="LOSS"), ["数据 Loss"]),
        (Wanted(text="数据 l"), ["数据 Loss"]),
        (Wanted(level="ERROR"), ["y", "Übung 100%", "b\\c", "last"]),
        (
            Wanted(
                level="INFO",
                start=datetime.fromtimestamp(1.7e9 + 2, UTC),
                end=datetime.fromtimestamp(1.7e9 + 4, UTC),
            ),
            ["b_c", "数据 Loss"],
        ),
    ],
)
def test_wanted_entries_are_found(told: Database, wanted: Wanted, expected: list[str]) -> None:
    assert part(told, wanted, 0, 100) == expected
    assert part(told, wanted, 1, 2) == expected[1:3]
    assert of_log(told, lambda log: log.tail(wanted, 1)).total == len(expected)
    [newest] = of_log(told, lambda log: log.tail(wanted, 1)).lines
    assert newest.message == expected[-1]


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_it_goes_on_from_any_place(told: Database, limit: int) -> None:
    fold_all(told, ENDED.facts[-1:], after=len(ENDED.facts) - 1)
    place, got, more = BEGINNING, [], True
    while more:
        found = of_log(told, lambda log, place=place: log.continued(place, Wanted(), limit))  # type: ignore[misc]
        assert len(found.lines) <= limit
        got += [text.split(" ", 2)[2] for text in texts(found)]
        place, more = found.place, found.more
    assert got[2:] == ["x", "y", *TEXTS, "训练已完成"]
    assert place == Place(2, 0, 0)


def test_long_lines_are_read_few_at_a_time(told: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_output, "MOST_TEXT", 5)
    monkeypatch.setattr(run_output, "_AT_ONCE", 1)
    place, got, more = BEGINNING, [], True
    while more:
        found = of_log(told, lambda log, place=place: log.continued(place, Wanted(), 100))  # type: ignore[misc]
        assert len(found.lines) <= 4
        got += [line[4] for line in found.lines]
        place, more = found.place, found.more
    assert got == ["x", "y", *TEXTS]


def test_output_waits_for_the_start_to_be_on_record(database: Database) -> None:
    fold_all(database, STARTED.facts[:-1])
    append_all(database, batch(2, 0, "early"))
    found = of_log(database, lambda log: log.continued(BEGINNING, Wanted(), 10))
    assert (len(found.before), found.lines, found.more) == (1, [], False)
    fold_all(database, STARTED.facts[-1:], after=len(STARTED.facts) - 1)
    later = of_log(database, lambda log: log.continued(found.place, Wanted(), 10))
    assert [text.split(" ", 2)[2][:5] for text in texts(later)] == ["已执行训练", "early"]


def test_the_past_is_counted_as_it_was(told: Database) -> None:
    log = ask(told, lambda connection: log_of_run(connection, RUN, cut_at(2)))
    assert log is not None
    found = ask(told, lambda connection: log_of_run(connection, RUN, cut_at(4)).part(Wanted(), limit=100))  # type: ignore[union-attr]
    assert found.total == 1 + 8
    assert ask(told, lambda connection: log_of_run(connection, RUN, cut_at(1))) is None


def test_points_come_by_pages_and_thinned(told: Database) -> None:
    after: After | None = None
    got = []
    while True:
        page = ask(told, lambda connection, after=after: metric_page(connection, RUN, Series(), after=after, limit=3))  # type: ignore[misc]
        assert page.total == 8
        got += [(point.attempt, point.step) for point in page.points]
        after = page.after
        if after is None:
            break
    assert got == [(1, 0), (1, 1), *((2, step) for step in range(6))]
    later = ask(told, lambda connection: metric_page(connection, RUN, Series(name="loss", from_step=4), limit=9))
    assert [point.step for point in later.points] == [4, 5]
    thin = ask(told, lambda connection: thinned_metrics(connection, RUN, Series(), most=4))
    assert [(point.attempt, point.step) for point in thin.points] == [(1, 0), (2, 5)]
    assert thin.total == 8


@pytest.mark.parametrize(("count", "expected"), [(6, TEXTS), (7, ["y", *TEXTS]), (100, ["x", "y", *TEXTS])])
def test_the_latest_lines_are_those_of_the_last_attempts(told: Database, count: int, expected: list[str]) -> None:
    found = ask(told, lambda connection: latest_output(connection, [str(RUN)], NOW, count))
    assert [entry.message for entry in found[str(RUN)]] == expected


@pytest.mark.parametrize("runs", [1, 2, 128])
def test_the_latest_lines_are_found_without_reading_all_of_a_run(runs: int) -> None:
    """A run may have printed ten million."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        logs.create(connection)
        statement = _lines_from(NOW, runs).compile(engine)
        assert statement.positiontup is not None
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("1",) * len(statement.positiontup))
        ranges = [row[-1] for row in plan if row[-1].startswith(("SEARCH", "SCAN"))]
    assert len(ranges) == 2 * runs
    assert all("(run_id=? AND attempt" in found for found in ranges), ranges
    assert sum("byte_offset>?" in found for found in ranges) == runs
