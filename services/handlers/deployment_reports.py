"""Decisions on what the deployment service reports. What comes again, or too late, changes nothing."""

from __future__ import annotations

from contracts.deployments import (
    PlaceDeployment,
    ReportDeploymentEnded,
    ReportDeploymentLaunched,
    ReportDeploymentLost,
    ReportDeploymentStarted,
    ReportDeploymentStopped,
    ReportDeploymentStopUnconfirmed,
    ReportDeploymentUnplaced,
)
from events.deployments import (
    AttemptEnd,
    Deployment,
    DeploymentAttemptEnded,
    DeploymentFailed,
    DeploymentLaunched,
    DeploymentPlaced,
    DeploymentRemoved,
    DeploymentStarted,
    DeploymentStopped,
    DeploymentStopUnconfirmed,
)

_MOST_PORTS_TRIED = 5
_FIRST_PAUSE = 1.0  # seconds until a failed server is started again, twice as long each time
_LONGEST_PAUSE = 60.0

_Ending = DeploymentAttemptEnded | DeploymentFailed | DeploymentStopped | DeploymentRemoved


def place_deployment(deployment: Deployment, command: PlaceDeployment, _: None) -> tuple[DeploymentPlaced, ...]:
    """Another attempt only after the one before is over, and by the service that placed the first."""
    if not _may_begin(deployment) or command.attempt != deployment.attempt + 1:
        return ()
    if deployment.service is not None and deployment.service != command.service:
        return ()
    return (
        DeploymentPlaced(
            attempt=command.attempt,
            service=command.service,
            port=command.port,
            argv=command.argv,
            log_file=command.log_file,
            gpu_id=command.gpu_id,
            gpu_uuid=command.gpu_uuid,
            preference=command.preference,
        ),
    )


def report_unplaced(deployment: Deployment, command: ReportDeploymentUnplaced, _: None) -> tuple[DeploymentFailed, ...]:
    if not _may_begin(deployment):
        return ()
    return (DeploymentFailed(attempt=deployment.attempt, cause=command.cause, reason=command.reason),)


def report_launched(
    deployment: Deployment, command: ReportDeploymentLaunched, _: None
) -> tuple[DeploymentLaunched, ...]:
    if not _is_under_way(deployment, command.attempt) or deployment.launched is not None:
        return ()
    return (DeploymentLaunched(attempt=command.attempt, pid=command.pid, start=command.start, boot=command.boot),)


def report_started(deployment: Deployment, command: ReportDeploymentStarted, _: None) -> tuple[DeploymentStarted, ...]:
    if not _is_under_way(deployment, command.attempt) or deployment.status != "starting":
        return ()
    return (DeploymentStarted(attempt=command.attempt),)


def report_ended(deployment: Deployment, command: ReportDeploymentEnded, _: None) -> tuple[_Ending, ...]:
    """What was asked for comes first: a stop, a restart. Else its restart policy says whether another attempt follows.

    A port that was taken by somebody else between the look at it and the server's own is no failure of the server: it
    gets another one, a few times.
    """
    if not _is_under_way(deployment, command.attempt):
        return ()
    attempt, code, size = command.attempt, command.exit_code, command.log_bytes
    if deployment.stop_requested:
        return _stopped(deployment, code, size, memory_free=command.memory_free)
    served = deployment.status == "running"
    cause: AttemptEnd = command.cause or "exit"
    if deployment.restart_requested:
        return (_again(command, "restart", failures=0, pause=0.0),)
    if command.cause is None and served:
        return (DeploymentStopped(attempt=attempt, cause="exited", exit_code=code, log_bytes=size),)
    assert deployment.requested is not None
    restarts = deployment.requested.restart_policy == "on-failure"
    if cause == "restart":
        return (_again(command, cause, failures=deployment.failures, pause=0.0),)
    if cause == "machine_restart":
        if restarts:
            return (_again(command, cause, failures=deployment.failures, pause=0.0),)
        return (DeploymentStopped(attempt=attempt, cause="machine_restart", log_bytes=size),)
    if cause == "port_taken" and deployment.ports_taken + 1 < _MOST_PORTS_TRIED:
        return (_again(command, cause, failures=deployment.failures, pause=0.0),)
    failures = (0 if command.steady else deployment.failures) + 1
    if restarts and cause != "launch" and failures <= command.restarts:
        pause = min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE)
        return (_again(command, cause, failures=failures, pause=pause),)
    return (DeploymentFailed(attempt=attempt, cause=cause, reason=command.reason, exit_code=code, log_bytes=size),)


def report_stop_unconfirmed(
    deployment: Deployment, command: ReportDeploymentStopUnconfirmed, _: None
) -> tuple[DeploymentStopUnconfirmed, ...]:
    if not _is_under_way(deployment, command.attempt) or command.pids == deployment.survivors:
        return ()
    return (DeploymentStopUnconfirmed(attempt=command.attempt, pids=command.pids),)


def report_stopped(deployment: Deployment, command: ReportDeploymentStopped, _: None) -> tuple[_Ending, ...]:
    if not deployment.stop_requested or deployment.ended:
        return ()
    return _stopped(deployment, command.exit_code, command.log_bytes)


def report_lost(deployment: Deployment, command: ReportDeploymentLost, _: None) -> tuple[_Ending, ...]:
    """Also one whose end was asked for: that nothing of it is alive was not confirmed, and it leaves the list so."""
    if deployment.requested is None or deployment.ended:
        return ()
    if deployment.service is None and deployment.requested.node != command.node:
        return ()
    if deployment.service is not None and deployment.service != command.service:
        return ()
    reason = f"节点 {deployment.requested.node} 的部署服务已 {command.silent_seconds:.0f} 秒没有心跳，视为失联"
    reason += "；服务尚未启动" if deployment.attempt == 0 else "，服务进程的下落不明；节点恢复后会停止其残留进程"
    failed = DeploymentFailed(attempt=deployment.attempt, cause="lost", reason=reason)
    return (failed, DeploymentRemoved()) if deployment.stop_requested else (failed,)


def _stopped(
    deployment: Deployment, exit_code: int | None, log_bytes: int, *, memory_free: bool = True
) -> tuple[_Ending, ...]:
    """A stop is asked for by its removal, so nothing more has to be said to take it off the list."""
    stopped = DeploymentStopped(
        attempt=deployment.attempt,
        cause="asked",
        exit_code=exit_code,
        log_bytes=log_bytes,
        memory_free=memory_free,
    )
    return (stopped, DeploymentRemoved())


def _again(command: ReportDeploymentEnded, cause: AttemptEnd, *, failures: int, pause: float) -> DeploymentAttemptEnded:
    return DeploymentAttemptEnded(
        attempt=command.attempt,
        cause=cause,
        reason=command.reason,
        exit_code=command.exit_code,
        failures=failures,
        retry_after=pause,
        log_bytes=command.log_bytes,
    )


def _may_begin(deployment: Deployment) -> bool:
    return deployment.between_attempts and deployment.status == "starting"


def _is_under_way(deployment: Deployment, attempt: int) -> bool:
    return (
        deployment.status is not None
        and not deployment.ended
        and not deployment.between_attempts
        and deployment.attempt == attempt
    )
