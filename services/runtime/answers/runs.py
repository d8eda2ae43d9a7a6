"""Runs and their artifacts, by their facts alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from uuid import UUID

from contracts.runs import Artifact, RunDetail
from contracts.times import naive_iso
from events.event import Recorded
from events.runs import (
    Run,
    RunArtifactRecorded,
    RunArtifactTagged,
    RunArtifactUntagged,
    RunFailed,
    RunLaunchFailed,
    RunQueued,
    RunStarted,
)


def run_detail(run_id: UUID, run: Run, recorded: Sequence[Recorded]) -> RunDetail:
    """A run without logs, metrics and artifacts. `recorded`: all its facts, oldest first."""
    assert run.status is not None
    assert run.project_id is not None
    started = next((entry.meta.time for entry in recorded if isinstance(entry.fact, RunStarted)), None)
    failure = next((entry.fact for entry in recorded if isinstance(entry.fact, RunFailed | RunLaunchFailed)), None)
    waiting = run.status == "pending" and run.attempt == 0
    queued = next((entry.fact for entry in recorded if isinstance(entry.fact, RunQueued)), None) if waiting else None
    last = recorded[-1]
    dataset, config = run.stored_dataset, run.stored_config
    return RunDetail(
        id=run_id,
        project_id=run.project_id,
        status=run.status,
        created_at=naive_iso(recorded[0].meta.time),
        updated_at=naive_iso(last.meta.time),
        started_at=None if started is None else naive_iso(started),
        completed_at=naive_iso(last.meta.time) if run.ended else None,
        progress=1.0 if run.status == "completed" else 0.05 if started is not None else 0.0,
        metrics={},
        start_command=shlex.join(run.argv),
        artifacts=(),
        logs=(),
        resume_source_artifact_id=run.resume_source_artifact_id,
        node=run.node,
        executor=run.executor,
        exit_code=getattr(last.fact, "exit_code", None),
        failure_cause=failure.cause if isinstance(failure, RunFailed) else "launch" if failure else None,
        failure_reason=failure.reason if failure else None,
        queue_position=queued.ahead + 1 if queued else None,
        max_wall_seconds=run.max_wall_seconds,
        dataset=run.dataset,
        dataset_id=dataset.dataset_id if dataset else None,
        dataset_version=dataset.version if dataset else None,
        dataset_sha256=dataset.sha256 if dataset else None,
        deidentified=dataset.deidentified if dataset else None,
        training_yaml=run.training_yaml,
        train_config_version=config.version if config and config.dataset_id is None else None,
        train_config_sha256=config.sha256 if config else None,
    )


def artifact_detail(recorded: Sequence[Recorded], artifact_id: UUID) -> Artifact:
    """`recorded`: all facts of its run, oldest first. LookupError: it is not among them."""
    tags: list[str] = []
    found: Recorded | None = None
    for entry in recorded:
        match entry.fact:
            case RunArtifactRecorded(artifact_id=known) if known == artifact_id:
                found = entry
            case RunArtifactTagged(artifact_id=known, tag=tag) if known == artifact_id:
                tags.append(tag)
            case RunArtifactUntagged(artifact_id=known, tag=tag) if known == artifact_id:
                tags.remove(tag)
    if found is None:
        raise LookupError(artifact_id)
    fact = found.fact
    assert isinstance(fact, RunArtifactRecorded)
    return Artifact(
        id=artifact_id,
        name=fact.name,
        type=fact.type,
        path=fact.path,
        created_at=naive_iso(found.meta.time),
        tags=tuple(tags),
        size=fact.size,
        files=fact.files,
        sha256=fact.sha256,
    )
