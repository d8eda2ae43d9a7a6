"""Runs: facts, state, evolve."""

from __future__ import annotations

from typing import ClassVar, Literal, assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from events.event import Event

RunStatus = Literal["pending", "running", "completed", "failed", "canceled", "paused"]
FailureCause = Literal["launch", "exit", "signal", "out_of_memory", "lost", "wall_time"]


class StoredConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the ledger's training configuration that a run trains by, or of that of the dataset `dataset_id`.

    `name` is how it is called, `filename` how its uploader did; `size` in bytes, `sha256` in hex. `path`, relative to
    the training directory, is where the run's node places a copy of `stored_name` for the training command.
    """

    version: int
    name: str
    filename: str
    stored_name: str
    size: int
    sha256: str
    path: str
    dataset_id: UUID | None = None


class StoredDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a dataset's version that a run trains on. Fields as of `StoredConfig`.

    `deidentified`: the de-identification `job_id` made that version, by that version of that policy.
    """

    dataset_id: UUID
    version: int
    name: str
    stored_name: str
    size: int
    sha256: str
    path: str
    deidentified: bool = False
    job_id: UUID | None = None
    policy_id: str | None = None
    policy_version: str | None = None


class RunFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "runs"


class RunRequested(RunFact, frozen=True, kw_only=True):
    """`node` owns the training directory in which the assets were found; `argv` is what will be exec'd.

    `own_command`: the caller brought it. `resume_from` is the checkpoint that the training continues from, an absolute
    path on the node, recorded as `resume_source_artifact_id` of the run `resumes`. `max_wall_seconds` bounds how
    long an attempt may run. `dataset` and `training_yaml` are files of the training directory unless they are
    uploaded ones: then they are the names of `stored_dataset` and `stored_config`.
    """

    project_id: UUID
    node: str
    dataset: str
    training_yaml: str
    argv: tuple[str, ...]
    resume_source_artifact_id: UUID | None = None
    own_command: bool = False
    resumes: UUID | None = None
    resume_from: str | None = None
    max_wall_seconds: float | None = None
    stored_dataset: StoredDataset | None = None
    stored_config: StoredConfig | None = None


class RunQueued(RunFact, frozen=True, kw_only=True):
    """Its node has to let others end first; `ahead` runs of the node waited before it."""

    ahead: int


class RunAssigned(RunFact, frozen=True, kw_only=True):
    """From here on this attempt may have been launched by that node, and by no other."""

    attempt: int
    node: str
    executor: str


class RunStarted(RunFact, frozen=True, kw_only=True):
    attempt: int


class RunAttemptFailed(RunFact, frozen=True, kw_only=True):
    """The attempt could not be launched, and another one follows."""

    attempt: int
    reason: str
    reason_en: str | None = None


class RunLaunchFailed(RunFact, frozen=True, kw_only=True):
    attempt: int
    reason: str
    reason_en: str | None = None


class RunCancelRequested(RunFact, frozen=True, kw_only=True):
    pass


class RunStopUnconfirmed(RunFact, frozen=True, kw_only=True):
    """Everything of the run was killed, and these processes are alive all the same; their node goes on trying."""

    attempt: int
    pids: tuple[int, ...]


class RunArtifactRecorded(RunFact, frozen=True, kw_only=True):
    """`path` is absolute on the run's node; `size` in bytes over all `files`; `sha256` only for a single file."""

    artifact_id: UUID
    name: str
    type: str
    path: str
    size: int
    files: int = 1
    sha256: str | None = None


class RunArtifactTagged(RunFact, frozen=True, kw_only=True):
    """The artifact did not have the tag before."""

    artifact_id: UUID
    tag: str


class RunArtifactUntagged(RunFact, frozen=True, kw_only=True):
    """The artifact had the tag before."""

    artifact_id: UUID
    tag: str


class RunCompleted(RunFact, frozen=True, kw_only=True):
    """Exit code 0. `telemetry` is the position in TELEMETRY of the run's last line, 0 if it printed nothing.

    `output_bytes` and `output_sha256` are those of the raw stdout, or of both streams where they share a file.
    """

    attempt: int
    output_bytes: int
    output_sha256: str | None
    telemetry: int = 0
    stderr_bytes: int = 0
    stderr_sha256: str | None = None


class RunFailed(RunFact, frozen=True, kw_only=True):
    """`exit_code` as a shell gives it (128 + n for signal n); none when the process was lost."""

    attempt: int
    cause: FailureCause
    exit_code: int | None
    reason: str
    reason_en: str | None = None
    output_bytes: int = 0
    output_sha256: str | None = None
    telemetry: int = 0
    stderr_bytes: int = 0
    stderr_sha256: str | None = None


class RunCanceled(RunFact, frozen=True, kw_only=True):
    """Nothing of the run is left alive."""

    attempt: int
    exit_code: int | None = None
    output_bytes: int = 0
    output_sha256: str | None = None
    telemetry: int = 0
    stderr_bytes: int = 0
    stderr_sha256: str | None = None


AnyRunFact = (
    RunRequested
    | RunQueued
    | RunAssigned
    | RunStarted
    | RunAttemptFailed
    | RunLaunchFailed
    | RunCancelRequested
    | RunStopUnconfirmed
    | RunArtifactRecorded
    | RunArtifactTagged
    | RunArtifactUntagged
    | RunCompleted
    | RunFailed
    | RunCanceled
)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its facts tell it; `status` is none before it was requested. `artifact_tags` knows every artifact.

    `failed_attempt` is the last one whose launch failed with another to follow.
    """

    status: RunStatus | None = None
    project_id: UUID | None = None
    node: str = ""
    executor: str | None = None
    attempt: int = 0
    argv: tuple[str, ...] = ()
    dataset: str = ""
    training_yaml: str = ""
    resume_source_artifact_id: UUID | None = None
    own_command: bool = False
    resume_from: str | None = None
    max_wall_seconds: float | None = None
    stored_dataset: StoredDataset | None = None
    stored_config: StoredConfig | None = None
    queued: bool = False
    failed_attempt: int = 0
    survivors: tuple[int, ...] = ()
    cancel_requested: bool = False
    artifact_paths: frozenset[str] = frozenset()
    artifact_tags: dict[UUID, frozenset[str]] = msgspec.field(default_factory=dict)

    @property
    def training_yaml_path(self) -> str:
        """Relative to the training directory."""
        return self.training_yaml if self.stored_config is None else self.stored_config.path

    @property
    def dataset_path(self) -> str:
        """Relative to the training directory."""
        return self.dataset if self.stored_dataset is None else self.stored_dataset.path

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "failed", "canceled")


def evolve(run: Run, fact: AnyRunFact) -> Run:
    match fact:
        case RunRequested():
            return replace(
                run,
                status="pending",
                project_id=fact.project_id,
                node=fact.node,
                argv=fact.argv,
                dataset=fact.dataset,
                training_yaml=fact.training_yaml,
                resume_source_artifact_id=fact.resume_source_artifact_id,
                own_command=fact.own_command,
                resume_from=fact.resume_from,
                max_wall_seconds=fact.max_wall_seconds,
                stored_dataset=fact.stored_dataset,
                stored_config=fact.stored_config,
            )
        case RunQueued():
            return replace(run, queued=True)
        case RunAssigned():
            return replace(run, node=fact.node, executor=fact.executor, attempt=fact.attempt)
        case RunStarted():
            return replace(run, status="running")
        case RunAttemptFailed():
            return replace(run, failed_attempt=fact.attempt)
        case RunStopUnconfirmed():
            return replace(run, survivors=fact.pids)
        case RunCancelRequested():
            return replace(run, cancel_requested=True)
        case RunArtifactRecorded():
            tags = run.artifact_tags | {fact.artifact_id: frozenset()}
            return replace(run, artifact_paths=run.artifact_paths | {fact.path}, artifact_tags=tags)
        case RunArtifactTagged():
            tagged = run.artifact_tags[fact.artifact_id] | {fact.tag}
            return replace(run, artifact_tags=run.artifact_tags | {fact.artifact_id: tagged})
        case RunArtifactUntagged():
            untagged = run.artifact_tags[fact.artifact_id] - {fact.tag}
            return replace(run, artifact_tags=run.artifact_tags | {fact.artifact_id: untagged})
        case RunCompleted():
            return replace(run, status="completed")
        case RunLaunchFailed() | RunFailed():
            return replace(run, status="failed")
        case RunCanceled():
            return replace(run, status="canceled")
        case _:
            assert_never(fact)
