"""Runs: commands, the training service's reports, and views."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from contracts.command import Command
from events.runs import FailureCause, RunStatus

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


WallSeconds = Annotated[
    float, Meta(gt=0, le=1e9, description="The training is stopped, and has failed, once it ran that long (seconds)")
]


class RunOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The optional body of `POST /projects/{project_reference}/runs` and of `POST …/runs/{run_id}/resume`."""

    start_command: Annotated[str, Meta(min_length=1, max_length=4_000)] | None = None
    max_wall_seconds: WallSeconds | None = None


class StartRun(Command, frozen=True, kw_only=True):
    """Asks for a run of a project; the run's id derives from the command's id."""

    project: str
    start_command: Annotated[str, Meta(min_length=1, max_length=4_000)] | None = None
    max_wall_seconds: WallSeconds | None = None


class ResumeRun(Command, frozen=True, kw_only=True):
    """Asks for a new run that continues from a checkpoint of run `run_id`, its newest where none is named."""

    project: str
    run_id: UUID
    source_artifact_id: UUID | None = None
    start_command: Annotated[str, Meta(min_length=1, max_length=4_000)] | None = None
    max_wall_seconds: WallSeconds | None = None


class CancelRun(Command, frozen=True, kw_only=True):
    """Asks that a run be stopped; it is `canceled` once nothing of it is left alive."""

    project: str
    run_id: UUID


Tag = Annotated[str, Meta(min_length=1, max_length=100)]


class TagArtifact(Command, frozen=True, kw_only=True):
    """Adds a tag to an artifact of a run; one that it has already changes nothing."""

    project: str
    run_id: UUID
    artifact_id: UUID
    tag: Tag


class UntagArtifact(Command, frozen=True, kw_only=True):
    """Takes a tag off an artifact of a run; one that it does not have changes nothing."""

    project: str
    run_id: UUID
    artifact_id: UUID
    tag: Tag


class ArtifactTag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST` and `DELETE …/artifacts/{artifact_id}/tags`."""

    tag: Tag


# What the training service reports. None of these can be sent from outside.


class AssignRun(Command, frozen=True, kw_only=True):
    """A node takes an attempt of a run; accepted once, so that an attempt is launched on one node only."""

    run_id: UUID
    attempt: int
    node: str
    executor: str


class ReportRunQueued(Command, frozen=True, kw_only=True):
    """Other runs of the node come first, `ahead` of which are waiting too."""

    run_id: UUID
    ahead: int


class ReportRunStarted(Command, frozen=True, kw_only=True):
    run_id: UUID
    attempt: int


class ReportLaunchFailed(Command, frozen=True, kw_only=True):
    run_id: UUID
    attempt: int
    reason: str
    reason_en: str | None = None


class ReportAttemptFailed(Command, frozen=True, kw_only=True):
    """A launch failed and will be tried again as the next attempt."""

    run_id: UUID
    attempt: int
    reason: str
    reason_en: str | None = None


class ReportStopUnconfirmed(Command, frozen=True, kw_only=True):
    """Processes of the run outlived their killing; recorded once for each set of them."""

    run_id: UUID
    attempt: int
    pids: tuple[int, ...]


class RecordArtifact(Command, frozen=True, kw_only=True):
    """A file or directory that a run produced; recorded once for each path.

    `path` is absolute on the node; `size` in bytes; `sha256` in hex for a file, none for a directory.
    """

    run_id: UUID
    name: str
    type: str
    path: str
    size: int
    files: int = 1
    sha256: str | None = None


class ReportRunEnded(Command, frozen=True, kw_only=True):
    """How a run's process ended, after all its output was published.

    `exit_code` is as a shell gives it (128 + n for signal n), none when the process was lost. `output_bytes` and
    `output_sha256` describe the raw stdout, the other two the raw stderr; `telemetry` is the position in TELEMETRY of
    the last line, 0 if none.
    """

    run_id: UUID
    attempt: int
    exit_code: int | None
    cause: FailureCause | None = None
    reason: str | None = None
    reason_en: str | None = None
    output_bytes: int = 0
    output_sha256: str | None = None
    telemetry: int = 0
    stderr_bytes: int = 0
    stderr_sha256: str | None = None


class ReportRunLost(Command, frozen=True, kw_only=True):
    """The run's node was silent for so long that nobody can say what became of the run."""

    run_id: UUID
    node: str
    silent_seconds: float


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    timestamp: str
    level: LogLevel
    message: str


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left behind; `type` is `checkpoint`, `tensorboard`, `config`, or others as needed.

    `path` is absolute on the run's node; `size` in bytes over all `files`; `sha256` in hex for a file, none for a
    directory.
    """

    id: UUID
    name: str
    type: str
    path: str
    created_at: str
    tags: tuple[str, ...] = ()
    size: int = 0
    files: int = 1
    sha256: str | None = None


class RunDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A run. Moments are ISO 8601 UTC without a zone suffix; `progress` is 0 to 1.

    `queue_position` is 1 for the next to be launched on its node, none for a run that does not wait for others.
    `dataset` and `training_yaml` name what it trains on and by. Of an uploaded dataset the id, the version and the
    SHA-256 of the file in hex are given too, and whether a de-identification made it; so of the training configuration,
    whose version is given only of the ledger's own.
    """

    id: UUID
    project_id: UUID
    status: RunStatus
    created_at: str
    updated_at: str
    started_at: str | None
    completed_at: str | None
    progress: float
    metrics: dict[str, float]
    start_command: str
    artifacts: tuple[Artifact, ...]
    logs: tuple[LogEntry, ...]
    resume_source_artifact_id: UUID | None
    node: str | None = None
    executor: str | None = None
    exit_code: int | None = None
    failure_cause: FailureCause | None = None
    failure_reason: str | None = None
    queue_position: int | None = None
    max_wall_seconds: float | None = None
    dataset: str | None = None
    dataset_id: UUID | None = None
    dataset_version: int | None = None
    dataset_sha256: str | None = None
    deidentified: bool | None = None
    training_yaml: str | None = None
    train_config_version: int | None = None
    train_config_sha256: str | None = None


class AssetReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a node answers when asked for a project's assets: names in the order asked.

    `not_files` and `unreadable` say of some that are `missing` what there is in their place.
    `incomplete` are those of the checkpoints asked for that are not, or no longer, whole on that node.
    """

    node: str
    missing: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    not_files: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


class AssetQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`checkpoints` are absolute paths, which mean something on one node only."""

    names: tuple[str, ...]
    checkpoints: tuple[str, ...] = ()
