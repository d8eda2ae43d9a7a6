"""Decisions on what the training service reports of runs.

A report that comes again, or too late, changes nothing: a terminal fact is final.
"""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID, uuid5

from contracts.runs import (
    AssignRun,
    RecordArtifact,
    ReportAttemptFailed,
    ReportLaunchFailed,
    ReportRunEnded,
    ReportRunLost,
    ReportRunQueued,
    ReportRunStarted,
    ReportStopUnconfirmed,
)
from events.runs import (
    Run,
    RunArtifactRecorded,
    RunAssigned,
    RunAttemptFailed,
    RunCanceled,
    RunCompleted,
    RunFailed,
    RunLaunchFailed,
    RunQueued,
    RunStarted,
    RunStopUnconfirmed,
)


class _Said(TypedDict):
    """What every end of a run says of its output."""

    output_bytes: int
    output_sha256: str | None
    telemetry: int
    stderr_bytes: int
    stderr_sha256: str | None


def report_run_queued(run: Run, command: ReportRunQueued, _: None) -> tuple[RunQueued, ...]:
    if run.status != "pending" or run.attempt or run.queued:
        return ()
    return (RunQueued(ahead=command.ahead),)


def assign_run(run: Run, command: AssignRun, _: None) -> tuple[RunAssigned, ...]:
    """Another attempt only after the one before has failed."""
    if run.status != "pending" or command.attempt <= run.attempt or run.attempt != run.failed_attempt:
        return ()
    return (RunAssigned(attempt=command.attempt, node=command.node, executor=command.executor),)


def report_run_started(run: Run, command: ReportRunStarted, _: None) -> tuple[RunStarted, ...]:
    if run.status != "pending" or command.attempt != run.attempt:
        return ()
    return (RunStarted(attempt=command.attempt),)


def report_launch_failed(run: Run, command: ReportLaunchFailed, _: None) -> tuple[RunLaunchFailed, ...]:
    if run.status != "pending" or command.attempt != run.attempt:
        return ()
    return (RunLaunchFailed(attempt=command.attempt, reason=command.reason, reason_en=command.reason_en),)


def report_attempt_failed(run: Run, command: ReportAttemptFailed, _: None) -> tuple[RunAttemptFailed, ...]:
    if run.status != "pending" or command.attempt != run.attempt or run.failed_attempt == run.attempt:
        return ()
    return (RunAttemptFailed(attempt=command.attempt, reason=command.reason, reason_en=command.reason_en),)


def report_stop_unconfirmed(run: Run, command: ReportStopUnconfirmed, _: None) -> tuple[RunStopUnconfirmed, ...]:
    """Also of a run that has ended: what a node that was away finds of it."""
    if run.status is None or command.pids == run.survivors:
        return ()
    return (RunStopUnconfirmed(attempt=command.attempt, pids=command.pids),)


def record_artifact(run: Run, command: RecordArtifact, _: None) -> tuple[RunArtifactRecorded, ...]:
    if run.status is None or command.path in run.artifact_paths:
        return ()
    return (
        RunArtifactRecorded(
            artifact_id=artifact_id(command.run_id, command.path),
            name=command.name,
            type=command.type,
            path=command.path,
            size=command.size,
            files=command.files,
            sha256=command.sha256,
        ),
    )


def report_run_ended(run: Run, command: ReportRunEnded, _: None) -> tuple[RunCompleted | RunFailed | RunCanceled, ...]:
    """A run whose cancellation was asked for ends `canceled`, however its process took the signal."""
    if run.status is None or run.ended or command.attempt != run.attempt:
        return ()
    attempt = command.attempt
    said = _Said(
        output_bytes=command.output_bytes,
        output_sha256=command.output_sha256,
        telemetry=command.telemetry,
        stderr_bytes=command.stderr_bytes,
        stderr_sha256=command.stderr_sha256,
    )
    if run.cancel_requested:
        return (RunCanceled(attempt=attempt, exit_code=command.exit_code, **said),)
    if command.exit_code == 0 and command.cause is None:
        return (RunCompleted(attempt=attempt, **said),)
    return (
        RunFailed(
            attempt=attempt,
            cause=command.cause or "exit",
            exit_code=command.exit_code,
            reason=command.reason or f"exit code {command.exit_code}",
            reason_en=command.reason_en,
            **said,
        ),
    )


def report_run_lost(run: Run, command: ReportRunLost, _: None) -> tuple[RunFailed, ...]:
    """Also a run whose cancellation was asked for is lost: that nothing of it is alive was not confirmed."""
    if run.status is None or run.ended or run.node != command.node:
        return ()
    reason = f"节点 {command.node} 已 {command.silent_seconds:.0f} 秒没有心跳，视为失联"
    reason += "；训练尚未启动" if run.attempt == 0 else "，训练进程的下落不明；节点恢复后会停止其残留进程"
    silent = f"node {command.node} has been silent for {command.silent_seconds:.0f} s and counts as lost"
    silent += (
        "; the training had not been launched"
        if run.attempt == 0
        else ("; nobody knows what became of the training, and the node stops what is left of it when it is back")
    )
    return (RunFailed(attempt=run.attempt, cause="lost", exit_code=None, reason=reason, reason_en=silent),)


def artifact_id(run_id: UUID, path: str) -> UUID:
    return uuid5(run_id, path)
