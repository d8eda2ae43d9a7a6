"""Deployments: commands, the deployment service's reports, questions to its node, and views."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from contracts.command import Command
from contracts.leases import Wish
from contracts.projects import Tags
from events.deployments import AttemptEnd, DeploymentFailure, DeploymentStatus, RestartPolicy
from events.leases import HolderKind, Preference

_MOST_BYTES = 2**50
LOG_ANSWER = "Trainledger-Log"  # the header of a reply that holds a LogAnswer; its body is the bytes


class CreateDeployment(Command, frozen=True, kw_only=True):
    """`POST /deployments`: serves a model, named by `model_path` or by the `artifact_id` of a run's checkpoint."""

    model_path: (
        Annotated[
            str,
            Meta(min_length=1, max_length=4_000, description="A directory or file of the node, or a model hub's id"),
        ]
        | None
    ) = None
    model_version: Annotated[str, Meta(max_length=200)] | None = None
    tags: Tags = ()
    extra_args: (
        Annotated[
            str, Meta(max_length=20_000, description="Further arguments, split as a shell would, never run by one")
        ]
        | None
    ) = None
    preferred_gpu: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    health_path: Annotated[str, Meta(min_length=1, max_length=1_000)] = "/health"
    artifact_id: UUID | None = None
    gpu_required: Annotated[bool, Meta(description="Without a GPU it is refused; else it runs without one")] = False
    min_free_memory: (
        Annotated[
            int,
            Meta(ge=1, le=_MOST_BYTES, description="Bytes of GPU memory that must be free; kept for it. Needs a GPU"),
        ]
        | None
    ) = None
    exclusive: Annotated[bool, Meta(description="Nobody else of TrainLedger gets its GPU")] = False
    restart_policy: RestartPolicy = "never"
    node: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The node to serve it")] | None = None


class RemoveDeployment(Command, frozen=True, kw_only=True):
    """`DELETE /deployments/{deployment_id}`: stops it, and takes it off the list once nothing of it is left."""

    deployment_id: UUID
    force: bool = False


class RestartDeployment(Command, frozen=True, kw_only=True):
    """Ends what runs of it, and starts it anew."""

    deployment_id: UUID


# What the deployment service reports. None of these can be sent from outside.


class PlaceDeployment(Command, frozen=True, kw_only=True):
    """A service takes an attempt; accepted once, so that an attempt is launched by one service only."""

    deployment_id: UUID
    attempt: int
    service: UUID
    port: int
    argv: tuple[str, ...]
    log_file: str
    gpu_id: int | None = None
    gpu_uuid: str | None = None
    preference: Preference | None = None


class ReportDeploymentLaunched(Command, frozen=True, kw_only=True):
    deployment_id: UUID
    attempt: int
    pid: int
    start: int
    boot: str


class ReportDeploymentStarted(Command, frozen=True, kw_only=True):
    deployment_id: UUID
    attempt: int


class ReportDeploymentEnded(Command, frozen=True, kw_only=True):
    """Nothing of the attempt is alive. `cause` is none for exit code 0. `memory_free` as of its GPU, false where the
    driver still showed the processes on it.

    `steady`: it had served for so long that its earlier failures do not count. `restarts` bounds how often in a row
    it is started again.
    """

    deployment_id: UUID
    attempt: int
    cause: AttemptEnd | None
    reason: str = ""
    exit_code: int | None = None
    log_bytes: int = 0
    memory_free: bool = True
    steady: bool = False
    restarts: int = 0


class ReportDeploymentUnplaced(Command, frozen=True, kw_only=True):
    """There is no room on the node for the attempt that would follow."""

    deployment_id: UUID
    cause: Literal["no_port", "no_gpu"]
    reason: str


class ReportDeploymentStopUnconfirmed(Command, frozen=True, kw_only=True):
    deployment_id: UUID
    attempt: int
    pids: tuple[int, ...]


class ReportDeploymentStopped(Command, frozen=True, kw_only=True):
    """As asked, nothing of it is alive, and its GPU's memory is free."""

    deployment_id: UUID
    exit_code: int | None = None
    log_bytes: int = 0


class ReportDeploymentLost(Command, frozen=True, kw_only=True):
    """A watcher saw no heartbeat of the deployment service `service` on `node` for so long."""

    deployment_id: UUID
    service: UUID
    node: str
    silent_seconds: float


# Questions to the node that serves, and its answers.


class RoomQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`contracts.subjects.NODE_ROOM`: whether there is room for a deployment."""

    wish: Wish


class RoomReport(msgspec.Struct, frozen=True, kw_only=True):
    """`refused` is the code of the problem where there is none."""

    node: str
    refused: Literal["no_free_port", "no_gpu"] | None = None


class StateQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`contracts.subjects.node_deployments`: how these are just now."""

    ids: tuple[UUID, ...]


class DeploymentState(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is none where the node does not know it; `log_tail` are the last lines of its log.

    What failed has its exit code, cause and reason here, also before that is on record.
    """

    deployment_id: UUID
    status: DeploymentStatus | None = None
    pid: int | None = None
    health_ok: bool = False
    exit_code: int | None = None
    failure_cause: DeploymentFailure | None = None
    failure_reason: str | None = None
    log_tail: tuple[str, ...] | None = None


class StateReport(msgspec.Struct, frozen=True, kw_only=True):
    node: str
    states: tuple[DeploymentState, ...]


class LogQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`contracts.subjects.node_deployment_logs`: at most `length` bytes of the log from byte `offset`.

    A negative offset counts from the end; `lines` asks for where the last so many lines begin, and no bytes before.
    """

    deployment_id: UUID
    offset: int = 0
    length: int = 0
    lines: int | None = None


class LogAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`size` of the log in bytes; the bytes that follow are those from byte `offset`."""

    status: Literal["ok", "missing"]
    size: int = 0
    offset: int = 0


class LeaseView(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a GPU: a deployment or a run by its id; `memory` in bytes is kept for it."""

    holder: UUID
    kind: HolderKind
    exclusive: bool
    memory: int


class GpuDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU of a node, memory in bytes. `foreign_processes` are none of TrainLedger's."""

    index: int
    uuid: str
    name: str
    memory_total: int
    memory_free: int
    foreign_processes: int
    leases: tuple[LeaseView, ...]


class HeldLease(msgspec.Struct, frozen=True, kw_only=True):
    """All that one holder has of a node: its port, and its GPUs by their indices."""

    holder: UUID
    kind: HolderKind
    port: int | None
    gpus: tuple[int, ...]
    exclusive: bool
    memory: int


class NodeGpus(msgspec.Struct, frozen=True, kw_only=True):
    """What a node has to serve with; `ports` are those that are taken, `leases` say by whom."""

    node: str
    reachable: bool
    gpus: tuple[GpuDetail, ...]
    ports: tuple[int, ...] = ()
    leases: tuple[HeldLease, ...] = ()


class DeploymentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment. Moments are Unix seconds, memory in bytes.

    `health_ok` and `log_tail` are of now, `health_ok` is none in the past. `reachable`: the node answered just now;
    where it did not, the rest is what is on record. `preference` says what became of the preferred GPU.
    """

    deployment_id: UUID
    model_path: str
    model_version: str | None
    tags: tuple[str, ...]
    gpu_id: int | None
    port: int | None
    pid: int | None
    status: DeploymentStatus
    started_at: float | None
    stopped_at: float | None
    health_ok: bool | None
    vllm_cmd: str | None
    log_file: str | None
    health_path: str
    created_at: float
    node: str
    reachable: bool | None = None
    extra_args: str | None = None
    gpu_uuid: str | None = None
    preferred_gpu: int | None = None
    preference: Preference | None = None
    gpu_required: bool = False
    min_free_memory: int | None = None
    exclusive: bool = False
    restart_policy: RestartPolicy = "never"
    attempt: int = 0
    exit_code: int | None = None
    failure_cause: DeploymentFailure | None = None
    failure_reason: str | None = None
    log_tail: tuple[str, ...] | None = None
    survivors: tuple[int, ...] = ()
    run_id: UUID | None = None
    artifact_id: UUID | None = None
    removed: bool = False


class DeploymentRemoval(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `DELETE /deployments/{deployment_id}`."""

    detail: str
    deployment_id: UUID


class LogPiece(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /deployments/{deployment_id}/logs`: `content` are the bytes from `offset` up to `next_offset`.

    `size` is the whole log's in bytes. What is no UTF-8 is replaced.
    """

    deployment_id: UUID
    offset: int
    next_offset: int
    size: int
    content: str
