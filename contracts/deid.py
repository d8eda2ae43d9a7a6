"""De-identification of datasets: commands, reports of the de-identification service, and views."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from contracts.command import Command
from contracts.deid_texts import Seed
from events.deid import DeidentifiedFile, JobFailure, JobStatus

Fields = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(min_length=1, max_length=1_000)]

FileFormat = Literal["jsonl", "json", "csv", "tsv", "text", "parquet"]

# By the ending of a file's name.
FORMATS: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".md": "text",
    ".parquet": "parquet",
}


def format_of(name: str) -> FileFormat | None:
    """How a file of that name is read, none where it cannot be."""
    return FORMATS.get(PurePosixPath(name).suffix.lower())


class DatasetDeidentification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/datasets/{dataset_id}/deidentify`.

    `version` is that of the dataset, left out: its newest uploads. `fields` left out: all of them.
    """

    policy_id: str
    policy_version: str | None = None
    version: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    fields: Fields | None = None
    seed: Seed | None = None


class DeidentifyDataset(Command, frozen=True, kw_only=True):
    """Asks for a de-identified version of a dataset; the job's id derives from the command's id."""

    dataset_id: UUID
    policy_id: str
    policy_version: str | None = None
    version: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    fields: Fields | None = None
    seed: Seed | None = None


class CancelDeidentification(Command, frozen=True, kw_only=True):
    """Asks that a job be stopped; it is `canceled` once nothing of its work is left."""

    job_id: UUID


# What the de-identification service reports. None of these can be sent from outside.


class AssignDeidentification(Command, frozen=True, kw_only=True):
    """A node takes a job; accepted once."""

    job_id: UUID
    node: str


class ReportDeidentified(Command, frozen=True, kw_only=True):
    """The dataset has its new version."""

    job_id: UUID
    output_version: int
    files: tuple[DeidentifiedFile, ...]


class ReportDeidentificationFailed(Command, frozen=True, kw_only=True):
    """`reason` never holds anything of the data."""

    job_id: UUID
    cause: JobFailure
    reason: str
    reason_en: str
    file: str | None = None
    line: int | None = None


class ReportDeidentificationCanceled(Command, frozen=True, kw_only=True):
    job_id: UUID


class ReportDeidentificationLost(Command, frozen=True, kw_only=True):
    """A watcher saw no heartbeat of the service that works on the job for so long."""

    job_id: UUID
    node: str
    silent_seconds: float


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What the service that works on a job answers, of now: bytes of the source files done and in all."""

    bytes_done: int
    bytes_total: int

    @property
    def share(self) -> float:
        return min(self.bytes_done / self.bytes_total, 1.0) if self.bytes_total else 0.0


# Views. Moments are ISO 8601 UTC with `Z` and milliseconds.


class JobProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job failed; `line` from 1 in the file named `file`. Nothing of the data stands here."""

    cause: JobFailure
    reason: str
    reason_en: str
    file: str | None
    line: int | None


class DeidJobView(msgspec.Struct, frozen=True, kw_only=True):
    """A de-identification of a dataset. `progress` is 0 to 1, of now, null where its service does not answer.

    `records`, `quarantined` (records left out) and `counts` (by type of what was found) are those of a completed one.
    """

    id: UUID
    dataset_id: UUID
    dataset_version: int
    policy_id: str
    policy_version: str
    fields: tuple[str, ...] | None
    seeded: bool
    status: JobStatus
    progress: float | None
    created_at: str
    updated_at: str
    started_at: str | None
    completed_at: str | None
    node: str | None
    cancel_requested: bool
    output_version: int | None
    records: int | None
    quarantined: int | None
    counts: dict[str, int] | None
    failure: JobProblem | None


class ReportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file before and after, hashes in hex; what is null is known of a completed job only.

    `quarantined_lines`: where the first hundred of those that were left out began, from 1.
    """

    name: str
    input_bytes: int
    input_sha256: str
    output_bytes: int | None = None
    output_sha256: str | None = None
    records: int | None = None
    quarantined: int | None = None
    quarantined_lines: tuple[int, ...] | None = None
    counts: dict[str, int] | None = None


class DeidReport(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/deid/jobs/{job_id}/report`: what was de-identified how, and with what outcome, without any of it."""

    job: DeidJobView
    dataset_sha256: str
    policy_sha256: str
    requested_by: str | None
    files: tuple[ReportedFile, ...]
