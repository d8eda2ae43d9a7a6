"""Decisions on runs that wait, that are bounded, and whose attempts fail."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contracts.runs import (
    AssignRun,
    ReportAttemptFailed,
    ReportRunEnded,
    ReportRunQueued,
    ReportRunStarted,
    ReportStopUnconfirmed,
)
from events.runs import (
    RunAssigned,
    RunAttemptFailed,
    RunCanceled,
    RunCancelRequested,
    RunFailed,
    RunQueued,
    RunStopUnconfirmed,
)
from tests.given import given
from tests.runs.test_decide import ASSIGNED, CANCEL, COMPLETED, REQUESTED, RUN, START, STARTED, gathered

QUEUED = RunQueued(ahead=2)
ATTEMPT_FAILED = RunAttemptFailed(attempt=1, reason="no bash")
ASSIGN_AGAIN = AssignRun(run_id=RUN, attempt=2, node="box", executor="local")


@pytest.mark.parametrize(
    ("asked", "setting", "bound"), [(None, None, None), (60, None, 60), (None, 90, 90), (60, 90, 60), (60, 30, 30)]
)
def test_the_shorter_bound_of_time_counts(asked: float | None, setting: float | None, bound: float | None) -> None:
    start = replace(START, max_wall_seconds=asked)
    given().when(start, replace(gathered(), max_wall_seconds=setting)).then(replace(REQUESTED, max_wall_seconds=bound))


def test_a_run_is_queued_once_and_only_before_it_is_assigned() -> None:
    report = ReportRunQueued(run_id=RUN, ahead=2)
    given(REQUESTED).when(report).then(QUEUED)
    given(REQUESTED, QUEUED).when(report).then()
    given(REQUESTED, ASSIGNED).when(report).then()
    given(REQUESTED, RunCanceled(attempt=0)).when(report).then()


def test_a_queued_run_is_canceled_at_once() -> None:
    given(REQUESTED, QUEUED).when(CANCEL).then(RunCanceled(attempt=0))


def test_another_attempt_follows_only_a_failed_one() -> None:
    report = ReportAttemptFailed(run_id=RUN, attempt=1, reason="no bash")
    given(REQUESTED, ASSIGNED).when(report).then(ATTEMPT_FAILED)
    given(REQUESTED, ASSIGNED, ATTEMPT_FAILED).when(report).then()
    given(REQUESTED, ASSIGNED, STARTED).when(report).then()
    given(REQUESTED, ASSIGNED).when(ASSIGN_AGAIN).then()
    second = RunAssigned(attempt=2, node="box", executor="local")
    given(REQUESTED, ASSIGNED, ATTEMPT_FAILED).when(ASSIGN_AGAIN).then(second)
    given(REQUESTED, ASSIGNED, ATTEMPT_FAILED, second).when(ASSIGN_AGAIN).then()
    given(REQUESTED, ASSIGNED, ATTEMPT_FAILED, second).when(ReportRunStarted(run_id=RUN, attempt=1)).then()


def test_a_run_between_two_attempts_is_canceled_by_its_node() -> None:
    history = (REQUESTED, ASSIGNED, ATTEMPT_FAILED)
    given(*history).when(CANCEL).then(RunCancelRequested())
    report = ReportRunEnded(run_id=RUN, attempt=1, exit_code=None)
    given(*history, RunCancelRequested()).when(report).then(RunCanceled(attempt=1))


def test_a_run_that_was_stopped_for_its_time_has_failed_whatever_its_code() -> None:
    report = ReportRunEnded(run_id=RUN, attempt=1, exit_code=0, cause="wall_time", reason="too long")
    failed = RunFailed(attempt=1, cause="wall_time", exit_code=0, reason="too long")
    given(REQUESTED, ASSIGNED, STARTED).when(report).then(failed)


def test_survivors_are_recorded_once_for_each_set_of_them() -> None:
    report = ReportStopUnconfirmed(run_id=RUN, attempt=1, pids=(7, 8))
    fact = RunStopUnconfirmed(attempt=1, pids=(7, 8))
    given(REQUESTED, ASSIGNED, STARTED).when(report).then(fact)
    given(REQUESTED, ASSIGNED, STARTED, fact).when(report).then()
    given(REQUESTED, ASSIGNED, STARTED, fact, RunStopUnconfirmed(attempt=1, pids=(7,))).when(report).then(fact)
    given(REQUESTED, ASSIGNED, STARTED, COMPLETED).when(report).then(fact)
