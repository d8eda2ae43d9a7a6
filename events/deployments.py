"""Deployments, models that are served: facts, state, evolve."""

from __future__ import annotations

from typing import ClassVar, Literal, assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from events.event import Event
from events.leases import Preference

DeploymentStatus = Literal["starting", "running", "stopping", "stopped", "failed"]
RestartPolicy = Literal["never", "on-failure"]
DeploymentFailure = Literal[
    "launch", "exit", "signal", "out_of_memory", "lost", "start_timeout", "unhealthy", "port_taken", "no_port", "no_gpu"
]
AttemptEnd = DeploymentFailure | Literal["restart", "machine_restart"]
StopCause = Literal["asked", "exited", "machine_restart"]


class DeploymentFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "deployments"


class DeploymentRequested(DeploymentFact, frozen=True, kw_only=True):
    """`node` will serve the model. `min_free_memory` in bytes; `extra_args` as the caller wrote them.

    A model that is a checkpoint of a run has that run's `run_id` and `artifact_id`, its `model_path` is then absolute
    on the node.
    """

    node: str
    model_path: str
    health_path: str
    model_version: str | None = None
    tags: tuple[str, ...] = ()
    extra_args: str = ""
    preferred_gpu: int | None = None
    gpu_required: bool = False
    min_free_memory: int | None = None
    exclusive: bool = False
    restart_policy: RestartPolicy = "never"
    run_id: UUID | None = None
    artifact_id: UUID | None = None


class DeploymentPlaced(DeploymentFact, frozen=True, kw_only=True):
    """From here on this attempt may have been launched by the service whose data directory is `service`.

    `gpu_id` is the GPU's index on the node, none without one; `preference` says what became of the preferred GPU.
    """

    attempt: int
    service: UUID
    port: int
    argv: tuple[str, ...]
    log_file: str
    gpu_id: int | None = None
    gpu_uuid: str | None = None
    preference: Preference | None = None


class DeploymentLaunched(DeploymentFact, frozen=True, kw_only=True):
    """The server's process is there; `start` is its start time in clock ticks since the boot `boot`."""

    attempt: int
    pid: int
    start: int
    boot: str


class DeploymentStarted(DeploymentFact, frozen=True, kw_only=True):
    """The first good health probe of the attempt."""

    attempt: int


class DeploymentAttemptEnded(DeploymentFact, frozen=True, kw_only=True):
    """Nothing of the attempt is alive, and another one follows after `retry_after` seconds.

    `failures` counts attempts that failed in a row. `log_bytes` is the length of the log when the attempt had ended.
    """

    attempt: int
    cause: AttemptEnd
    reason: str
    exit_code: int | None = None
    failures: int = 0
    retry_after: float = 0.0
    log_bytes: int = 0


class DeploymentRestartRequested(DeploymentFact, frozen=True, kw_only=True):
    pass


class DeploymentStopRequested(DeploymentFact, frozen=True, kw_only=True):
    """`force`: what does not end on TERM is killed."""

    force: bool = False


class DeploymentStopUnconfirmed(DeploymentFact, frozen=True, kw_only=True):
    """These processes are alive although they were told to end."""

    attempt: int
    pids: tuple[int, ...]


class DeploymentStopped(DeploymentFact, frozen=True, kw_only=True):
    """Nothing of it is left alive; `memory_free`: nor in its GPU's memory, as far as the driver tells."""

    attempt: int
    cause: StopCause
    exit_code: int | None = None
    log_bytes: int = 0
    memory_free: bool = True


class DeploymentFailed(DeploymentFact, frozen=True, kw_only=True):
    """Nothing of it is left alive, and no attempt follows; `exit_code` as a shell gives it, none where it was lost."""

    attempt: int
    cause: DeploymentFailure
    reason: str
    exit_code: int | None = None
    log_bytes: int = 0


class DeploymentRemoved(DeploymentFact, frozen=True, kw_only=True):
    """It is on no list any more."""


AnyDeploymentFact = (
    DeploymentRequested
    | DeploymentPlaced
    | DeploymentLaunched
    | DeploymentStarted
    | DeploymentAttemptEnded
    | DeploymentRestartRequested
    | DeploymentStopRequested
    | DeploymentStopUnconfirmed
    | DeploymentStopped
    | DeploymentFailed
    | DeploymentRemoved
)


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as its facts tell it; `status` is none before it was requested.

    `requested` is what was asked for, `placed` and `launched` are those of the attempt `attempt`, whose output begins
    at byte `log_start` of the log. `between_attempts`: nothing of it is alive, and the next attempt may be placed.
    """

    status: DeploymentStatus | None = None
    requested: DeploymentRequested | None = None
    service: UUID | None = None
    attempt: int = 0
    placed: DeploymentPlaced | None = None
    launched: DeploymentLaunched | None = None
    between_attempts: bool = False
    retry_after: float = 0.0
    failures: int = 0
    ports_taken: int = 0
    log_start: int = 0
    restart_requested: bool = False
    stop_requested: bool = False
    force: bool = False
    survivors: tuple[int, ...] = ()
    removed: bool = False

    @property
    def ended(self) -> bool:
        return self.status in ("stopped", "failed")


def evolve(deployment: Deployment, fact: AnyDeploymentFact) -> Deployment:
    match fact:
        case DeploymentRequested():
            return replace(deployment, status="starting", requested=fact, between_attempts=True)
        case DeploymentPlaced():
            return replace(
                deployment,
                status="starting",
                service=fact.service,
                attempt=fact.attempt,
                placed=fact,
                launched=None,
                between_attempts=False,
                restart_requested=False,
            )
        case DeploymentLaunched():
            return replace(deployment, launched=fact)
        case DeploymentStarted():
            return replace(deployment, status="running", ports_taken=0)
        case DeploymentAttemptEnded():
            return replace(
                deployment,
                status="starting",
                launched=None,
                between_attempts=True,
                retry_after=fact.retry_after,
                failures=fact.failures,
                ports_taken=deployment.ports_taken + (fact.cause == "port_taken"),
                log_start=fact.log_bytes,
                survivors=(),
            )
        case DeploymentRestartRequested():
            return replace(
                deployment,
                status="starting",
                restart_requested=True,
                between_attempts=deployment.ended or deployment.between_attempts,
                retry_after=0.0,
                failures=0,
                ports_taken=0,
            )
        case DeploymentStopRequested():
            return replace(deployment, status="stopping", stop_requested=True, force=deployment.force or fact.force)
        case DeploymentStopUnconfirmed():
            return replace(deployment, survivors=fact.pids)
        case DeploymentStopped():
            return replace(deployment, status="stopped", launched=None, log_start=fact.log_bytes, survivors=())
        case DeploymentFailed():
            return replace(
                deployment,
                status="failed",
                launched=None,
                log_start=max(deployment.log_start, fact.log_bytes),  # of one that was lost nobody knows
                survivors=(),
            )
        case DeploymentRemoved():
            return replace(deployment, removed=True)
        case _:
            assert_never(fact)
