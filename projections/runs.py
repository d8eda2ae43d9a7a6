"""Runs: facts folded into the tables `runs`, `artifacts` and `run_notes`."""

from __future__ import annotations

import shlex
from typing import Any

from contracts.runs import LogLevel
from events.event import Meta
from events.runs import (
    RunArtifactRecorded,
    RunAssigned,
    RunCanceled,
    RunCancelRequested,
    RunCompleted,
    RunFailed,
    RunLaunchFailed,
    RunRequested,
    RunStarted,
)
from projections.rows import Rows
from projections.tables import artifacts, run_notes, runs, to_column

# Where a note stands among the output lines of its attempt.
BEFORE_OUTPUT = 0
AFTER_OUTPUT = 2

PROGRESS_STARTED = 0.05


def on_run_requested(rows: Rows, fact: RunRequested, meta: Meta) -> None:
    time = to_column(meta.time)
    resumed = fact.resume_source_artifact_id
    rows.add(
        runs,
        meta.aggregate_id,
        meta.position,
        project_id=str(fact.project_id),
        status="pending",
        attempt=0,
        node=fact.node,
        executor=None,
        start_command=shlex.join(fact.argv),
        progress=0.0,
        resume_source_artifact_id=None if resumed is None else str(resumed),
        exit_code=None,
        failure_cause=None,
        failure_reason=None,
        created_at=time,
        updated_at=time,
        started_at=None,
        completed_at=None,
    )
    _note(rows, meta, 0, BEFORE_OUTPUT, "INFO", f"已确认训练资源数据集 {fact.dataset}，配置 {fact.training_yaml}")


def on_run_assigned(rows: Rows, fact: RunAssigned, meta: Meta) -> None:
    _change(rows, meta, attempt=fact.attempt, node=fact.node, executor=fact.executor)


def on_run_started(rows: Rows, fact: RunStarted, meta: Meta) -> None:
    _change(rows, meta, status="running", progress=PROGRESS_STARTED, started_at=to_column(meta.time))
    command = rows.current(runs, meta.aggregate_id)["start_command"]
    _note(rows, meta, fact.attempt, BEFORE_OUTPUT, "INFO", f"已执行训练命令：{command}")


def on_run_launch_failed(rows: Rows, fact: RunLaunchFailed, meta: Meta) -> None:
    _end(rows, meta, status="failed", failure_cause="launch", failure_reason=fact.reason)
    _note(rows, meta, fact.attempt, AFTER_OUTPUT, "ERROR", f"训练启动失败：{fact.reason}")


def on_run_cancel_requested(rows: Rows, _: RunCancelRequested, meta: Meta) -> None:
    _change(rows, meta)
    attempt = rows.current(runs, meta.aggregate_id)["attempt"]
    _note(rows, meta, attempt, AFTER_OUTPUT, "INFO", "已请求取消训练")


def on_run_artifact_recorded(rows: Rows, fact: RunArtifactRecorded, meta: Meta) -> None:
    _change(rows, meta)
    rows.add(
        artifacts,
        fact.artifact_id,
        meta.position,
        run_id=str(meta.aggregate_id),
        name=fact.name,
        type=fact.type,
        path=fact.path,
        size=fact.size,
        files=fact.files,
        sha256=fact.sha256,
        tags="[]",
        created_at=to_column(meta.time),
    )


def on_run_completed(rows: Rows, fact: RunCompleted, meta: Meta) -> None:
    _end(rows, meta, status="completed", progress=1.0, exit_code=0)
    _note(rows, meta, fact.attempt, AFTER_OUTPUT, "INFO", "训练已完成")


def on_run_failed(rows: Rows, fact: RunFailed, meta: Meta) -> None:
    _end(
        rows,
        meta,
        status="failed",
        exit_code=fact.exit_code,
        failure_cause=fact.cause,
        failure_reason=fact.reason,
    )
    _note(rows, meta, fact.attempt, AFTER_OUTPUT, "ERROR", f"训练失败：{fact.reason}")


def on_run_canceled(rows: Rows, fact: RunCanceled, meta: Meta) -> None:
    _end(rows, meta, status="canceled", exit_code=fact.exit_code)
    _note(rows, meta, fact.attempt, AFTER_OUTPUT, "INFO", "训练已取消")


def _end(rows: Rows, meta: Meta, **columns: Any) -> None:
    _change(rows, meta, completed_at=to_column(meta.time), **columns)


def _change(rows: Rows, meta: Meta, **columns: Any) -> None:
    rows.change(runs, meta.aggregate_id, meta.position, updated_at=to_column(meta.time), **columns)


def _note(rows: Rows, meta: Meta, attempt: int, phase: int, level: LogLevel, message: str) -> None:
    rows.add(
        run_notes,
        meta.aggregate_id,
        meta.position,
        attempt=attempt,
        phase=phase,
        time=to_column(meta.time),
        level=level,
        message=message,
    )
