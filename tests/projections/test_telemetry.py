"""Telemetry into tables: every byte once, progress never back, the past cut by store time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.runs import RunDetail
from contracts.telemetry import LogLine, MetricPoint, TelemetryBatch
from events.runs import RunAssigned, RunCompleted, RunStarted
from projections.database import Database
from projections.positions import Overtaken, claimed_position
from projections.queries.cut import NOW, Cut
from projections.queries.runs import run_detail
from projections.tables import TELEMETRY
from projections.telemetry import StoredTelemetry, append_telemetry
from tests.projections.histories import History, identify, project_created, run_requested, stored_at
from tests.projections.tables import append_all, ask, fold_all

PROJECT, RUN = identify("project"), identify("run")
HISTORY = (
    History()
    .add(PROJECT, project_created())
    .add(RUN, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1))
    .facts
)
TIME = 1_700_000_000.5


def said(start: int, end: int, *messages: str, progress: float | None = None, **values: float | None) -> TelemetryBatch:
    return TelemetryBatch(
        run_id=RUN,
        attempt=1,
        start=start,
        end=end,
        lines=tuple(LogLine(start + number, TIME, "INFO", message) for number, message in enumerate(messages)),
        points=tuple(MetricPoint(start, TIME, name, value, 1) for name, value in values.items()),
        progress=progress,
    )


@pytest.fixture
def running(database: Database) -> Database:
    fold_all(database, HISTORY)
    return database


def detail_of(database: Database, cut: Cut = NOW) -> RunDetail:
    detail = ask(database, lambda connection: run_detail(connection, RUN, cut))
    assert detail is not None
    return detail


def output_of(database: Database, cut: Cut = NOW) -> list[str]:
    return [entry.message for entry in detail_of(database, cut).logs[2:]]


def test_lines_metrics_and_progress_are_shown(running: Database) -> None:
    first = said(0, 10, "{'loss': 1.7}", "😀", progress=0.25, loss=1.7, learning_rate=1e-5)
    assert append_all(running, first, said(10, 20, "last", loss=1.5)) == 2
    detail = detail_of(running)
    assert output_of(running) == ["{'loss': 1.7}", "😀", "last"]
    assert detail.logs[2].timestamp == "2023-11-14T22:13:20.500000"
    assert detail.metrics == {"loss": 1.5, "learning_rate": 1e-5}
    assert detail.progress == 0.25
    assert ask(running, lambda connection: claimed_position(connection, TELEMETRY)) == 2


def test_progress_never_goes_back_and_is_a_share(running: Database) -> None:
    shown = []
    for number, progress in enumerate([0.01, 0.5, 0.2, None, 7.0]):
        append_all(running, said(10 * number, 10 * number + 10, progress=progress), after=number)
        shown.append(detail_of(running).progress)
    assert shown == [0.05, 0.5, 0.5, 0.5, 1.0]


def test_a_completed_run_has_all_progress(running: Database) -> None:
    append_all(running, said(0, 10, progress=0.5))
    end = History().add(RUN, *(recorded.fact for recorded in HISTORY[1:]))
    end.add(PROJECT, project_created()).add(RUN, RunCompleted(attempt=1, output_bytes=10, output_sha256=None))
    fold_all(running, end.facts[-1:], after=4)
    assert detail_of(running).progress == 1.0


def test_what_was_applied_is_skipped(running: Database) -> None:
    batches = [said(0, 10, "a", loss=1.0), said(10, 20, "b", loss=2.0)]
    append_all(running, *batches)
    with pytest.raises(Overtaken):
        append_all(running, *batches)
    assert append_all(running, after=2) == 2
    # the same bytes under other positions, as after the loss of the stream, and cut up in another way
    append_all(running, *batches, said(5, 25, *"ignored", "", "", "", "", "", "c", loss=3.0), after=2)
    assert output_of(running)[:2] == ["a", "b"]
    assert detail_of(running).metrics == {"loss": 2.0}


def test_values_that_are_no_numbers_hide_older_ones(running: Database) -> None:
    append_all(running, said(0, 10, loss=1.0, grad_norm=2.0), said(10, 20, loss=None, grad_norm=None))
    assert detail_of(running).metrics == {}
    append_all(running, said(20, 30, loss=0.5), after=2)
    assert detail_of(running).metrics == {"loss": 0.5}


def test_odd_texts_do_not_stop_it(running: Database) -> None:
    append_all(running, said(0, 10, "NUL \0", "😀" * 50_000, **{"长" * 500: 1.0, "Loss": 2.0, "loss": 3.0}))
    assert output_of(running) == ["NUL \N{REPLACEMENT CHARACTER}", "😀" * 50_000]
    assert detail_of(running).metrics == {"长" * 200: 1.0, "Loss": 2.0, "loss": 3.0}


def test_a_message_that_could_not_be_read_is_passed_over(running: Database) -> None:
    with running.writing() as connection:
        append_telemetry(connection, [StoredTelemetry(1, stored_at(1), None)], 0)
    append_all(running, said(0, 10, "next"), after=1)
    assert output_of(running) == ["next"]


def test_the_past_is_cut_by_store_time(running: Database) -> None:
    append_all(running, said(0, 10, "a", progress=0.2, loss=3.0), fact=4)
    append_all(running, said(10, 20, "b", progress=0.4, loss=2.0), after=1, fact=5)
    moment = stored_at(4) + timedelta(milliseconds=1)
    for cut, output, progress, metrics in [
        (Cut(4, stored_at(4)), [], 0.05, {}),
        (Cut(4, moment), ["a"], 0.2, {"loss": 3.0}),
        (Cut(4, moment + timedelta(seconds=1)), ["a", "b"], 0.4, {"loss": 2.0}),
    ]:
        detail = detail_of(running, cut)
        assert (output_of(running, cut), detail.progress, detail.metrics) == (output, progress, metrics)


def test_whoever_is_overtaken_appends_nothing(running: Database) -> None:
    append_all(running, said(0, 10, "a"))
    with pytest.raises(Overtaken):
        append_all(running, said(10, 20, "b"), said(20, 30, "c"))
    assert output_of(running) == ["a"]
