"""What the queries answer: the documented views, of now and of any position in the past."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from contracts.projects import Project
from contracts.runs import LogEntry
from contracts.telemetry import LogLine, TelemetryBatch
from contracts.times import naive_iso
from events.event import Event, Recorded
from events.projects import ProjectArchived, ProjectRevised, ProjectUnarchived
from events.runs import (
    RunAssigned,
    RunCanceled,
    RunCancelRequested,
    RunCompleted,
    RunFailed,
    RunLaunchFailed,
    RunStarted,
)
from projections.database import Database, open_database
from projections.ownership import prepare
from projections.queries.cut import NOW, Cut
from projections.queries.projects import project_detail, project_list, project_summary
from projections.queries.runs import run_detail, run_list, run_status
from tests.projections.conftest import LEDGER
from tests.projections.histories import OWNER, History, artifact, identify, project_created, run_requested, time_of
from tests.projections.tables import append_all, ask, checksum_at, cut_at, fold_all, name_of

PROJECT, RUN = identify("project"), identify("run")


def json_of(view: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(view))


def iso(position: int) -> str:
    return naive_iso(time_of(position))


def said(database: Database, run_id: UUID = RUN, cut: Cut = NOW, latest_logs: int = 200) -> list[tuple[str, str]]:
    detail = ask(database, lambda connection: run_detail(connection, run_id, cut, latest_logs=latest_logs))
    assert detail is not None
    return [(entry.level, entry.message) for entry in detail.logs]


def lines(run_id: UUID, *messages: str, start: int = 0, attempt: int = 1) -> TelemetryBatch:
    """One batch with a line each ten bytes."""
    found = tuple(LogLine(start + 10 * n, 1_700_000_000.25 + n, "INFO", text) for n, text in enumerate(messages))
    return TelemetryBatch(run_id=run_id, attempt=attempt, start=start, end=start + 10 * len(messages), lines=found)


def test_a_project_as_documented(database: Database) -> None:
    fold_all(database, History().add(PROJECT, project_created(name="qwen-finetune")).facts)
    detail = ask(database, lambda connection: project_detail(connection, PROJECT, name_of))
    assert json_of(detail) == {
        "id": str(PROJECT),
        "name": "qwen-finetune",
        "description": "微调 Qwen 以适配客服场景",
        "owner": "alice",
        "tags": ["demo", "customer-service"],
        "dataset_name": "datasets/qwen_demo.jsonl",
        "training_yaml_name": "configs/qwen_demo.yaml",
        "objective": None,
        "task_type": None,
        "require_deidentified": False,
        "status": "active",
        "created_at": "2024-04-12T08:45:10.192384",
        "updated_at": "2024-04-12T08:45:10.192384",
        "runs_started": 0,
        "runs": [],
    }


def test_a_run_as_documented(database: Database) -> None:
    history = History().add(PROJECT, project_created()).add(RUN, run_requested(PROJECT))
    history.add(RUN, RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1))
    fold_all(database, history.facts)
    detail = ask(database, lambda connection: run_detail(connection, RUN))
    assert json_of(detail) == {
        "id": str(RUN),
        "project_id": str(PROJECT),
        "status": "running",
        "created_at": iso(2),
        "updated_at": iso(4),
        "started_at": iso(4),
        "completed_at": None,
        "progress": 0.05,
        "metrics": {},
        "start_command": "bash run_train_full_sft.sh configs/qwen_demo.yaml",
        "artifacts": [],
        "logs": [
            {
                "timestamp": iso(2),
                "level": "INFO",
                "message": "已确认训练资源数据集 datasets/qwen_demo.jsonl，配置 configs/qwen_demo.yaml",
            },
            {
                "timestamp": iso(4),
                "level": "INFO",
                "message": "已执行训练命令：bash run_train_full_sft.sh configs/qwen_demo.yaml",
            },
        ],
        "resume_source_artifact_id": None,
        "node": "gpu-1",
        "executor": "local",
        "exit_code": None,
        "failure_cause": None,
        "failure_reason": None,
        "queue_position": None,
        "max_wall_seconds": None,
        "dataset": "datasets/qwen_demo.jsonl",
        "dataset_id": None,
        "dataset_version": None,
        "dataset_sha256": None,
        "deidentified": None,
        "training_yaml": "configs/qwen_demo.yaml",
        "train_config_version": None,
        "train_config_sha256": None,
    }
    assert ask(database, lambda connection: run_status(connection, RUN)) == "running"
    assert ask(database, lambda connection: run_status(connection, uuid4())) is None


@pytest.mark.parametrize(
    ("end", "status", "level", "message"),
    [
        ((RunCompleted(attempt=1, output_bytes=9, output_sha256=None),), "completed", "INFO", "训练已完成"),
        (
            (RunFailed(attempt=1, cause="exit", exit_code=3, reason="内存不足 😀"),),
            "failed",
            "ERROR",
            "训练失败：内存不足 😀",
        ),
        ((RunCancelRequested(), RunCanceled(attempt=1, exit_code=143)), "canceled", "INFO", "训练已取消"),
    ],
)
def test_how_a_run_ends(database: Database, end: tuple[Event, ...], status: str, level: str, message: str) -> None:
    history = History().add(PROJECT, project_created()).add(RUN, run_requested(PROJECT))
    history.add(RUN, RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1))
    history.add(RUN, artifact(RUN, 500)).add(RUN, *end)
    fold_all(database, history.facts)
    append_all(database, lines(RUN, "first", "last"))
    detail = ask(database, lambda connection: run_detail(connection, RUN))
    assert detail is not None
    assert detail.status == status
    assert detail.completed_at == detail.updated_at == iso(len(history.facts))
    assert detail.progress == (1.0 if status == "completed" else 0.05)
    assert [found.name for found in detail.artifacts] == ["checkpoint-500"]
    assert said(database)[2:4] == [("INFO", "first"), ("INFO", "last")]
    assert said(database)[-1] == (level, message)


def test_a_launch_that_failed(database: Database) -> None:
    history = History().add(PROJECT, project_created()).add(RUN, run_requested(PROJECT))
    history.add(
        RUN, RunAssigned(attempt=1, node="gpu-1", executor="local"), RunLaunchFailed(attempt=1, reason="没有 bash")
    )
    fold_all(database, history.facts)
    detail = ask(database, lambda connection: run_detail(connection, RUN))
    assert detail is not None
    assert (detail.status, detail.failure_cause, detail.failure_reason) == ("failed", "launch", "没有 bash")
    assert (detail.started_at, detail.completed_at, detail.progress) == (None, iso(4), 0.0)
    assert said(database)[1:] == [("ERROR", "训练启动失败：没有 bash")]


def test_texts_survive_whole(database: Database) -> None:
    description = "😀\n'\"\\%(x)s:y" * 1_500 + "\u2028é"
    name, longest = "微调 😀 100%", "n" * 200
    history = History().add(PROJECT, project_created(name=name, description=description, tags=("😀", '"', "\\u0000")))
    history.add(
        identify("long"), project_created(name=longest, description="NUL \0 in it", objective="目标", task_type="sft")
    )
    fold_all(database, history.facts)
    page = ask(database, lambda connection: project_list(connection, name_of))
    first, second = page.items
    assert (first.name, first.description, first.tags) == (name, description, ("😀", '"', "\\u0000"))
    assert (second.name, second.objective, second.task_type) == (longest, "目标", "sft")
    assert second.description == "NUL \N{REPLACEMENT CHARACTER} in it"


def test_owners_are_shown_by_name_until_they_are_erased(database: Database) -> None:
    fold_all(database, History().add(PROJECT, project_created()).facts)
    asked: list[UUID] = []

    def erased(person: UUID) -> str | None:
        asked.append(person)
        return None

    named = ask(database, lambda connection: project_summary(connection, PROJECT, name_of))
    nameless = ask(database, lambda connection: project_summary(connection, PROJECT, erased))
    assert named is not None
    assert nameless is not None
    assert (named.owner, nameless.owner) == ("alice", str(OWNER))
    assert asked == [OWNER]


def test_revisions_change_what_they_name(database: Database) -> None:
    history = History().add(PROJECT, project_created(), ProjectRevised(description=None, tags=()))
    history.add(PROJECT, ProjectArchived(), ProjectUnarchived(), ProjectArchived())
    fold_all(database, history.facts, 2)
    project = ask(database, lambda connection: project_summary(connection, PROJECT, name_of))
    assert project is not None
    assert (project.description, project.tags, project.status) == (None, (), "archived")
    assert (project.created_at, project.updated_at) == (iso(1), iso(5))


def test_what_is_unknown_is_none(database: Database) -> None:
    assert ask(database, lambda connection: project_detail(connection, uuid4(), name_of)) is None
    assert ask(database, lambda connection: project_summary(connection, uuid4(), name_of)) is None
    assert ask(database, lambda connection: run_list(connection, uuid4())) is None
    assert ask(database, lambda connection: run_detail(connection, uuid4())) is None
    assert ask(database, lambda connection: project_list(connection, name_of)).items == ()


def test_lists_are_in_the_order_of_creation_and_page(database: Database) -> None:
    history = History()
    for number in range(7):
        history.add(identify("project", number), project_created(number))
        for run in range(number % 3):
            history.add(identify("run", number, run), run_requested(identify("project", number)))
    history.add(identify("project", 0), ProjectRevised(tags=("later",)))
    fold_all(database, history.facts, 3)
    whole = ask(database, lambda connection: project_list(connection, name_of))
    assert [project.name for project in whole.items] == [f"qwen-finetune-{number}" for number in range(7)]
    assert [project.runs_started for project in whole.items] == [0, 1, 2, 0, 1, 2, 0]
    assert whole.after is None

    paged: list[Project] = []
    after = 0
    for _ in range(4):
        page = ask(database, lambda connection: project_list(connection, name_of, after=after, limit=2))  # noqa: B023
        paged += page.items
        after = page.after or 0
    assert paged == list(whole.items)
    assert after == 0
    exact = ask(database, lambda connection: project_list(connection, name_of, limit=7))
    assert exact == whole


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(database.reader, "before_cursor_execute", note)
    yield statements
    event.remove(database.reader, "before_cursor_execute", note)


def test_a_project_of_many_runs_takes_few_queries(database: Database) -> None:
    history = History().add(PROJECT, project_created())
    batches = []
    for number in range(200):
        run_id = identify("run", number)
        history.add(run_id, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"))
        history.add(run_id, RunStarted(attempt=1), artifact(run_id, 1), artifact(run_id, 2))
        batches.append(lines(run_id, *(f"{number} {line}" for line in range(number % 30))))
    fold_all(database, history.facts)
    append_all(database, *batches)
    with counted(database) as statements:
        detail = ask(database, lambda connection: project_detail(connection, PROJECT, name_of, latest_logs=10))
    assert len([statement for statement in statements if statement.startswith("SELECT")]) < 12
    assert detail is not None
    assert detail.runs_started == len(detail.runs) == 200
    for number, run in enumerate(detail.runs):
        assert run.id == identify("run", number)
        assert [found.name for found in run.artifacts] == ["checkpoint-1", "checkpoint-2"]
        shown = [entry.message for entry in run.logs[2:]]
        assert shown == [f"{number} {line}" for line in range(number % 30)][-10:]
        assert run == ask(database, lambda connection: run_detail(connection, run.id, latest_logs=10))  # noqa: B023


def test_the_last_lines_over_all_attempts_in_their_order(database: Database) -> None:
    history = History().add(PROJECT, project_created()).add(RUN, run_requested(PROJECT))
    history.add(RUN, RunAssigned(attempt=1, node="gpu-1", executor="local"))
    history.add(RUN, RunAssigned(attempt=2, node="gpu-2", executor="local"), RunStarted(attempt=2))
    fold_all(database, history.facts)
    append_all(database, lines(RUN, "a", "b"), lines(RUN, "c", "d", attempt=2), lines(RUN, "e", start=20, attempt=2))
    for count in range(7):
        shown = [message for _, message in said(database, latest_logs=count)[2:]]
        assert shown == ["a", "b", "c", "d", "e"][max(0, 5 - count) :]


def view_of(connection: Connection, position: int | None, runs: list[UUID], projects: list[UUID]) -> list[object]:
    """Everything that the queries say, at a position or now."""
    cut = NOW if position is None else cut_at(position)
    return [
        project_list(connection, name_of, cut),
        project_list(connection, name_of, cut, limit=1),
        [project_detail(connection, project, name_of, cut) for project in projects],
        [run_list(connection, project, cut) for project in projects],
        [run_list(connection, project, cut, limit=1) for project in projects],
        [run_detail(connection, run, cut) for run in runs],
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[Recorded]:
    """Valid histories of two projects and up to four runs, in any interleaving."""
    history = History()
    alive: dict[UUID, list[Event]] = {}
    archived: set[UUID] = set()
    created: list[UUID] = []
    for step in draw(st.lists(st.integers(0, 9), min_size=1, max_size=25)):
        if step == 0 or not created:
            project = identify("project", len(created) % 2)
            if project not in created:
                created.append(project)
                history.add(project, project_created(len(created)))
        elif step == 1:
            history.add(draw(st.sampled_from(created)), ProjectRevised(tags=(f"step-{len(history.facts)}",)))
        elif step == 2:
            project = draw(st.sampled_from(created))
            history.add(project, ProjectUnarchived() if project in archived else ProjectArchived())
            archived ^= {project}
        elif step <= 4 and len(alive) < 4:
            run_id = identify("run", len(alive))
            ends = [
                RunCompleted(attempt=1, output_bytes=1, output_sha256=None),
                RunFailed(attempt=1, cause="signal", exit_code=137, reason="killed"),
                RunCanceled(attempt=1, exit_code=None),
            ]
            alive[run_id] = [
                RunAssigned(attempt=1, node="gpu-1", executor="local"),
                RunStarted(attempt=1),
                *(artifact(run_id, number) for number in range(draw(st.integers(0, 2)))),
                *([RunCancelRequested()] if draw(st.booleans()) else []),
                draw(st.sampled_from(ends)),
            ]
            history.add(run_id, run_requested(draw(st.sampled_from(created))))
        elif alive:
            run_id = draw(st.sampled_from(sorted(alive)))
            if alive[run_id]:
                history.add(run_id, alive[run_id].pop(0))
    return history.facts


@settings(max_examples=30)
@given(histories(), st.integers(1, 5))
def test_the_past_is_what_a_fold_up_to_there_shows(facts: list[Recorded], batch: int) -> None:
    runs = [identify("run", number) for number in range(4)]
    projects = [identify("project", number) for number in range(2)]
    with TemporaryDirectory() as directory:
        whole = open_database(f"sqlite:///{Path(directory) / 'whole.db'}")
        growing = open_database(f"sqlite:///{Path(directory) / 'growing.db'}")
        try:
            prepare(whole, LEDGER)
            prepare(growing, LEDGER)
            fold_all(whole, facts, batch)
            assert ask(whole, lambda connection: view_of(connection, 0, runs, projects)) == ask(
                growing, lambda connection: view_of(connection, None, runs, projects)
            )
            for position, recorded in enumerate(facts, 1):
                fold_all(growing, [recorded], after=position - 1)
                past = ask(whole, lambda connection: view_of(connection, position, runs, projects))  # noqa: B023
                assert past == ask(growing, lambda connection: view_of(connection, None, runs, projects))
                assert checksum_at(whole, position) == checksum_at(growing, position)
        finally:
            whole.close()
            growing.close()


def test_the_past_on_every_database(database: Database) -> None:
    history = History().add(PROJECT, project_created(), ProjectArchived(), ProjectUnarchived())
    history.add(RUN, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"))
    history.add(RUN, RunStarted(attempt=1), artifact(RUN, 1))
    history.add(RUN, RunCompleted(attempt=1, output_bytes=1, output_sha256=None))
    fold_all(database, history.facts, 3)

    def at(position: int) -> tuple[object, ...]:
        cut = cut_at(position)
        project = ask(database, lambda connection: project_summary(connection, PROJECT, name_of, cut))
        run = ask(database, lambda connection: run_detail(connection, RUN, cut))
        return (
            project and (project.status, project.runs_started),
            run and (run.status, len(run.artifacts), len(run.logs), run.progress),
        )

    assert [at(position) for position in range(9)] == [
        (None, None),
        (("active", 0), None),
        (("archived", 0), None),
        (("active", 0), None),
        (("active", 1), ("pending", 0, 1, 0.0)),
        (("active", 1), ("pending", 0, 1, 0.0)),
        (("active", 1), ("running", 0, 2, 0.05)),
        (("active", 1), ("running", 1, 2, 0.05)),
        (("active", 1), ("completed", 1, 3, 1.0)),
    ]


def test_a_read_sees_one_state_while_the_projector_goes_on(database: Database) -> None:
    history = History().add(PROJECT, project_created()).add(RUN, run_requested(PROJECT))
    fold_all(database, history.facts[:1])
    with database.reading() as connection:
        before = project_list(connection, name_of)
        fold_all(database, history.facts[1:], after=1)
        assert project_list(connection, name_of) == before
    after = ask(database, lambda connection: project_list(connection, name_of))
    assert after.items[0].runs_started == 1


def test_log_entries_are_the_contract_s_own() -> None:
    assert LogEntry.__struct_fields__ == ("timestamp", "level", "message")
