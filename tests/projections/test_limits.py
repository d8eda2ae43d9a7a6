"""What is shown of runs that wait, that are launched again, and that do not stop."""

from __future__ import annotations

from contracts.runs import RunDetail
from events.runs import (
    RunAssigned,
    RunAttemptFailed,
    RunCanceled,
    RunCancelRequested,
    RunQueued,
    RunStarted,
    RunStopUnconfirmed,
)
from projections.database import Database
from projections.queries.cut import NOW, Cut
from projections.queries.runs import run_detail, run_list
from tests.projections.histories import History, identify, project_created, run_requested
from tests.projections.tables import ask, cut_at, fold_all

PROJECT = identify("project")
RUNS = [identify("run", number) for number in range(4)]


def detail(database: Database, number: int, cut: Cut = NOW) -> RunDetail:
    found = ask(database, lambda connection: run_detail(connection, RUNS[number], cut))
    assert found is not None
    return found


def said(found: RunDetail) -> list[tuple[str, str]]:
    return [(entry.level, entry.message) for entry in found.logs]


def test_places_in_the_queue_of_now_and_then(database: Database) -> None:
    history = History().add(PROJECT, project_created())
    assigned = RunAssigned(attempt=1, node="gpu-1", executor="local")
    for run_id in RUNS:
        history.add(run_id, run_requested(PROJECT))
    history.add(RUNS[0], assigned, RunStarted(attempt=1))
    history.add(RUNS[2], RunQueued(ahead=1)).add(RUNS[1], RunQueued(ahead=0)).add(RUNS[3], RunQueued(ahead=2))
    full = len(history.facts)
    history.add(RUNS[2], RunCanceled(attempt=0)).add(RUNS[1], assigned)
    fold_all(database, history.facts)
    shown = ask(database, lambda connection: run_list(connection, PROJECT, cut_at(full)))
    assert shown is not None
    assert [run.queue_position for run in shown.items] == [None, 1, 2, 3]
    assert [run.status for run in shown.items] == ["running", *["pending"] * 3]
    assert [detail(database, number).queue_position for number in range(4)] == [None, None, None, 1]
    assert said(detail(database, 3))[1] == ("INFO", "排队等待启动，前面还有 2 个训练在排队")


def test_every_failed_attempt_is_told(database: Database) -> None:
    history = History().add(PROJECT, project_created()).add(RUNS[0], run_requested(PROJECT))
    for attempt in (1, 2):
        history.add(RUNS[0], RunAssigned(attempt=attempt, node="gpu-1", executor="local"))
        history.add(RUNS[0], RunAttemptFailed(attempt=attempt, reason="没有 bash"))
    history.add(RUNS[0], RunAssigned(attempt=3, node="gpu-1", executor="local"), RunStarted(attempt=3))
    fold_all(database, history.facts)
    shown = detail(database, 0)
    assert shown.status == "running"
    assert said(shown)[1:] == [
        ("ERROR", "第 1 次尝试启动失败，将再次尝试：没有 bash"),
        ("ERROR", "第 2 次尝试启动失败，将再次尝试：没有 bash"),
        ("INFO", "已执行训练命令：bash run_train_full_sft.sh configs/qwen_demo.yaml"),
    ]


def test_survivors_of_a_stop_stay_visible(database: Database) -> None:
    history = History().add(PROJECT, project_created()).add(RUNS[0], run_requested(PROJECT))
    history.add(RUNS[0], RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1))
    history.add(RUNS[0], RunCancelRequested(), RunStopUnconfirmed(attempt=1, pids=(7, 8)), RunCanceled(attempt=1))
    fold_all(database, history.facts)
    assert said(detail(database, 0))[2:] == [
        ("INFO", "已请求取消训练"),
        ("ERROR", "无法确认训练已停止：强制终止后进程 7、8 仍存活，将继续尝试"),
        ("INFO", "训练已取消"),
    ]
