"""Runs: facts folded into the tables `runs` and `artifacts`."""

from __future__ import annotations

import shlex
from typing import Any, Literal

import msgspec

from contracts.runs import LogLevel
from events.runs import (
    RunArtifactRecorded,
    RunArtifactTagged,
    RunArtifactUntagged,
    RunAssigned,
    RunAttemptFailed,
    RunCanceled,
    RunCancelRequested,
    RunCompleted,
    RunFailed,
    RunLaunchFailed,
    RunQueued,
    RunRequested,
    RunStarted,
    RunStopUnconfirmed,
    StoredConfig,
)
from projections.projects import tags_from_column, tags_to_column
from projections.rows import Rows
from projections.tables import artifacts, runs, to_id

_PROGRESS_STARTED = 0.05


def on_run_requested(rows: Rows, fact: RunRequested) -> None:
    resumed = fact.resume_source_artifact_id
    rows.add(
        runs,
        project_id=to_id(fact.project_id),
        status="pending",
        attempt=0,
        node=fact.node,
        dataset=fact.dataset,
        training_yaml=fact.training_yaml,
        dataset_id=None if fact.stored_dataset is None else str(fact.stored_dataset.dataset_id),
        dataset_version=None if fact.stored_dataset is None else fact.stored_dataset.version,
        dataset_sha256=None if fact.stored_dataset is None else fact.stored_dataset.sha256,
        deidentified=None if fact.stored_dataset is None else int(fact.stored_dataset.deidentified),
        train_config_version=_ledgers_version(fact.stored_config),
        train_config_sha256=None if fact.stored_config is None else fact.stored_config.sha256,
        start_command=shlex.join(fact.argv),
        progress=0.0,
        resume_source_artifact_id=None if resumed is None else to_id(resumed),
        created_at=rows.time,
        updated_at=rows.time,
        max_wall_seconds=fact.max_wall_seconds,
    )


def on_run_queued(rows: Rows, fact: RunQueued) -> None:
    _note(rows, "before", "INFO", f"排队等待启动，前面还有 {fact.ahead} 个训练在排队", queued_at=rows.time)


def on_run_attempt_failed(rows: Rows, fact: RunAttemptFailed) -> None:
    _note(rows, "before", "ERROR", f"第 {fact.attempt} 次尝试启动失败，将再次尝试：{fact.reason}")


def on_run_stop_unconfirmed(rows: Rows, fact: RunStopUnconfirmed) -> None:
    pids = "、".join(map(str, fact.pids))
    _note(rows, "after", "ERROR", f"无法确认训练已停止：强制终止后进程 {pids} 仍存活，将继续尝试")


def on_run_assigned(rows: Rows, fact: RunAssigned) -> None:
    _change(rows, attempt=fact.attempt, node=fact.node, executor=fact.executor)


def on_run_started(rows: Rows, _: RunStarted) -> None:
    _change(rows, status="running", progress=_PROGRESS_STARTED, started_at=rows.time)


def on_run_launch_failed(rows: Rows, fact: RunLaunchFailed) -> None:
    _end(rows, status="failed", failure_cause="launch", failure_reason=fact.reason)


def on_run_cancel_requested(rows: Rows, _: RunCancelRequested) -> None:
    _change(rows, cancel_requested_at=rows.time)


def on_run_artifact_recorded(rows: Rows, fact: RunArtifactRecorded) -> None:
    """Makes no new version of the run: its queries see the artifacts anyway."""
    rows.add(
        artifacts,
        to_id(fact.artifact_id),
        run_id=rows.aggregate_id,
        name=fact.name,
        type=fact.type,
        path=fact.path,
        size=fact.size,
        files=fact.files,
        sha256=fact.sha256,
        tags="[]",
        created_at=rows.time,
    )


def on_run_artifact_tagged(rows: Rows, fact: RunArtifactTagged) -> None:
    identifier = to_id(fact.artifact_id)
    tags = tags_from_column(rows.current(artifacts, identifier)["tags"])
    rows.change(artifacts, identifier, tags=tags_to_column((*tags, fact.tag)))


def on_run_artifact_untagged(rows: Rows, fact: RunArtifactUntagged) -> None:
    identifier = to_id(fact.artifact_id)
    tags = tags_from_column(rows.current(artifacts, identifier)["tags"])
    rows.change(artifacts, identifier, tags=tags_to_column([tag for tag in tags if tag != fact.tag]))


def on_run_completed(rows: Rows, _: RunCompleted) -> None:
    _end(rows, status="completed", progress=1.0, exit_code=0)


def on_run_failed(rows: Rows, fact: RunFailed) -> None:
    _end(
        rows,
        status="failed",
        exit_code=fact.exit_code,
        failure_cause=fact.cause,
        failure_reason=fact.reason,
    )


def on_run_canceled(rows: Rows, fact: RunCanceled) -> None:
    _end(rows, status="canceled", exit_code=fact.exit_code)


class Note(msgspec.Struct, frozen=True, array_like=True):
    """A line of the run's log that is no output; `place` is where it stands: before all output, or after it."""

    place: Literal["before", "after"]
    time: int
    level: LogLevel
    message: str


def notes_from_column(text: str | None) -> list[Note]:
    return [] if text is None else msgspec.json.decode(text, type=list[Note])


def _ledgers_version(config: StoredConfig | None) -> int | None:
    """Its number among the versions of the ledger's training configuration, none where it is a dataset's."""
    return None if config is None or config.dataset_id is not None else config.version


def _note(rows: Rows, place: Literal["before", "after"], level: LogLevel, message: str, **columns: Any) -> None:
    notes = notes_from_column(rows.current(runs, rows.aggregate_id)["notes"])
    notes.append(Note(place, rows.time, level, message))
    _change(rows, notes=msgspec.json.encode(notes).decode(), **columns)


def _end(rows: Rows, **columns: Any) -> None:
    _change(rows, completed_at=rows.time, **columns)


def _change(rows: Rows, **columns: Any) -> None:
    rows.change(runs, updated_at=rows.time, **columns)
