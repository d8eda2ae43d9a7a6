"""Lines of two streams, and values that are printed and written into the trainer's own log too."""

from __future__ import annotations

import pytest

from contracts.telemetry import TRAINER_LOG, Ends, LogLine, MetricPoint, Refill, TelemetryBatch
from events.runs import RunAssigned, RunStarted
from projections.database import Database
from projections.queries.run_metrics import Series, metric_page, thinned_metrics
from projections.queries.run_output import log_of_run
from projections.queries.runs import run_detail
from projections.queries.wanted_lines import Wanted
from projections.tables import metrics
from tests.projections.histories import History, identify, project_created, run_requested
from tests.projections.tables import append_all, ask, fold_all

PROJECT, RUN = identify("project"), identify("run")
HISTORY = (
    History()
    .add(PROJECT, project_created())
    .add(RUN, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1))
    .facts
)
TIME = 1_700_000_000.5


@pytest.fixture
def running(database: Database) -> Database:
    fold_all(database, HISTORY)
    return database


def printed(start: int, end: int, **values: float) -> TelemetryBatch:
    points = tuple(MetricPoint(start, TIME, name, value, 1) for name, value in values.items())
    return TelemetryBatch(run_id=RUN, attempt=1, start=start, end=end, points=points)


def trained(batch: TelemetryBatch, begin: int, end: int, **values: float) -> TelemetryBatch:
    """And the trainer's log said that meanwhile, from byte `begin` up to `end`."""
    points = tuple(
        MetricPoint(TRAINER_LOG + begin, TIME, name, value, 1, "trainer_log", begin) for name, value in values.items()
    )
    return TelemetryBatch(
        run_id=RUN,
        attempt=1,
        start=batch.start,
        end=batch.end,
        points=batch.points + points,
        ends=Ends(batch.end, 0, end),
        refill=batch.refill,
    )


def points(database: Database) -> list[tuple[str, float | None, str]]:
    found = ask(database, lambda connection: metric_page(connection, RUN, Series(), limit=100))
    thinned = ask(database, lambda connection: thinned_metrics(connection, RUN, Series(), most=100))
    assert found.points == thinned.points
    assert found.total == thinned.total == len(found.points)
    return [(point.name, point.value, point.source) for point in found.points]


def latest(database: Database) -> dict[str, float]:
    detail = ask(database, lambda connection: run_detail(connection, RUN))
    assert detail is not None
    return detail.metrics


BATCHES = (
    printed(0, 10, loss=1.2, grad_norm=3.0),
    trained(printed(10, 10), 0, 40, loss=1.25),
    trained(printed(10, 20, loss=1.1, grad_norm=2.0), 40, 80, loss=1.125),
    trained(printed(20, 30, loss=1.0), 80, 80),
)


def test_a_value_of_the_trainers_log_stands_for_what_is_printed_of_it(running: Database) -> None:
    for after, batch in enumerate(BATCHES):
        append_all(running, batch, after=after)
    assert points(running) == [
        ("grad_norm", 3.0, "output"),
        ("grad_norm", 2.0, "output"),
        ("loss", 1.25, "trainer_log"),
        ("loss", 1.125, "trainer_log"),
    ]
    assert latest(running) == {"loss": 1.125, "grad_norm": 2.0}


def test_it_counts_once_however_often_and_in_whatever_transactions_it_comes(running: Database) -> None:
    append_all(running, *BATCHES)
    expected = points(running), latest(running)
    append_all(running, *BATCHES, after=4)
    append_all(running, *BATCHES[1:], after=8)
    assert (points(running), latest(running)) == expected


def test_lost_values_come_back_once(running: Database) -> None:
    append_all(running, *BATCHES)
    expected = points(running), latest(running)
    with running.writing() as connection:
        connection.execute(metrics.delete().where(metrics.c.value != 1.25))
    mark = Refill(total=30, stored_at=TIME)
    output = TelemetryBatch(
        run_id=RUN, attempt=1, start=0, end=30, points=(*BATCHES[0].points, *BATCHES[2].points[:2]), refill=mark
    )
    log = TelemetryBatch(
        run_id=RUN, attempt=1, start=30, end=30, points=(*BATCHES[1].points, *BATCHES[2].points[2:]), refill=mark
    )
    for after in (4, 6):
        append_all(running, output, log, after=after)
        assert (points(running), latest(running)) == expected


def test_lines_can_be_asked_for_by_stream(running: Database) -> None:
    lines = (
        LogLine(0, TIME, "INFO", "out"),
        LogLine(4, TIME, "INFO", "err", "stderr", 0),
        LogLine(8, TIME, "INFO", "more", "stdout", 4),
    )
    append_all(running, TelemetryBatch(run_id=RUN, attempt=1, start=0, end=13, lines=lines, ends=Ends(9, 4)))

    def found(wanted: Wanted) -> list[tuple[str, str, int]]:
        def read(connection: object) -> list[tuple[str, str, int]]:
            log = log_of_run(connection, RUN)  # type: ignore[arg-type]
            assert log is not None
            part = log.part(wanted, limit=10)
            assert part.total == len(part.before) + len(part.lines)
            return [(line.message, line.stream, line.stream_offset) for line in part.lines]

        return ask(running, read)

    assert found(Wanted()) == [("out", "stdout", 0), ("err", "stderr", 0), ("more", "stdout", 4)]
    assert found(Wanted(stream="stderr")) == [("err", "stderr", 0)]
    assert found(Wanted(stream="ledger")) == []
