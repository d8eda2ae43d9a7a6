"""Deployments: facts folded into the table `deployments`."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec

from events.deployments import (
    DeploymentAttemptEnded,
    DeploymentFailed,
    DeploymentLaunched,
    DeploymentPlaced,
    DeploymentRemoved,
    DeploymentRequested,
    DeploymentRestartRequested,
    DeploymentStarted,
    DeploymentStopped,
    DeploymentStopRequested,
    DeploymentStopUnconfirmed,
)
from projections.projects import tags_to_column
from projections.rows import Rows
from projections.tables import deployments

_NOT_ENDED: dict[str, Any] = {
    "exit_code": None,
    "failure_cause": None,
    "failure_reason": None,
    "stopped_at": None,
}


def on_deployment_requested(rows: Rows, fact: DeploymentRequested) -> None:
    rows.add(
        deployments,
        node=fact.node,
        model_path=fact.model_path,
        model_version=fact.model_version,
        tags=tags_to_column(fact.tags),
        extra_args=fact.extra_args,
        health_path=fact.health_path,
        preferred_gpu=fact.preferred_gpu,
        gpu_required=int(fact.gpu_required),
        min_free_memory=fact.min_free_memory,
        exclusive=int(fact.exclusive),
        restart_policy=fact.restart_policy,
        run_id=None if fact.run_id is None else str(fact.run_id),
        artifact_id=None if fact.artifact_id is None else str(fact.artifact_id),
        status="starting",
        attempt=0,
        removed=0,
        created_at=rows.time,
        **_NOT_ENDED,
    )


def on_deployment_placed(rows: Rows, fact: DeploymentPlaced) -> None:
    rows.change(
        deployments,
        status="starting",
        attempt=fact.attempt,
        service=str(fact.service),
        port=fact.port,
        gpu_id=fact.gpu_id,
        gpu_uuid=fact.gpu_uuid,
        preference=fact.preference,
        vllm_cmd=shlex.join(fact.argv),
        log_file=fact.log_file,
        pid=None,
        **_NOT_ENDED,
    )


def on_deployment_launched(rows: Rows, fact: DeploymentLaunched) -> None:
    rows.change(deployments, pid=fact.pid, started_at=rows.time)


def on_deployment_started(rows: Rows, _: DeploymentStarted) -> None:
    rows.change(deployments, status="running")


def on_deployment_attempt_ended(rows: Rows, fact: DeploymentAttemptEnded) -> None:
    rows.change(
        deployments,
        status="starting",
        pid=None,
        exit_code=fact.exit_code,
        failure_cause=None if fact.cause in ("restart", "machine_restart") else fact.cause,
        failure_reason=fact.reason or None,
        survivors=None,
    )


def on_deployment_restart_requested(rows: Rows, _: DeploymentRestartRequested) -> None:
    rows.change(deployments, status="starting", **_NOT_ENDED)


def on_deployment_stop_requested(rows: Rows, _: DeploymentStopRequested) -> None:
    rows.change(deployments, status="stopping")


def on_deployment_stop_unconfirmed(rows: Rows, fact: DeploymentStopUnconfirmed) -> None:
    rows.change(deployments, survivors=msgspec.json.encode(fact.pids).decode())


def on_deployment_stopped(rows: Rows, fact: DeploymentStopped) -> None:
    rows.change(deployments, status="stopped", pid=None, exit_code=fact.exit_code, stopped_at=rows.time, survivors=None)


def on_deployment_failed(rows: Rows, fact: DeploymentFailed) -> None:
    rows.change(
        deployments,
        status="failed",
        pid=None,
        exit_code=fact.exit_code,
        failure_cause=fact.cause,
        failure_reason=fact.reason,
        stopped_at=rows.time,
        survivors=None,
    )


def on_deployment_removed(rows: Rows, _: DeploymentRemoved) -> None:
    rows.change(deployments, removed=1)
