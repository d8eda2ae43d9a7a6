"""Datasets and uploads: commands, reports of the service's own parts, and views."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from contracts.command import Command
from events.datasets import BadLine, DatasetFile, DatasetStatus, FoundField, Verdict
from events.train_config import TrainConfigFile

DatasetName = Annotated[str, Meta(min_length=1, max_length=200)]
Kind = Annotated[str, Meta(max_length=200)]
RetentionDays = Annotated[
    int, Meta(ge=1, le=36_500, description="An uploaded file is removed that many days after it was uploaded")
]


class CreateDataset(Command, frozen=True, kw_only=True):
    """`POST /v1/datasets`; the dataset's id derives from the command's id."""

    name: DatasetName
    type: Kind | None = None
    description: Annotated[str, Meta(max_length=20_000)] | None = None
    task_type: Kind | None = None
    metadata: dict[str, Any] | None = None
    retention_days: RetentionDays | None = None


class AbortUpload(Command, frozen=True, kw_only=True):
    """Takes a finished upload back: its bytes go."""

    dataset_id: UUID
    upload_id: UUID


class SetDatasetRetention(Command, frozen=True, kw_only=True):
    """What is set already changes nothing; none keeps the uploads for ever."""

    dataset_id: UUID
    retention_days: RetentionDays | None


class DeleteDatasetTrainConfig(Command, frozen=True, kw_only=True):
    """Takes the training configuration away that belongs to the dataset."""

    dataset_id: UUID


class DeleteDataset(Command, frozen=True, kw_only=True):
    dataset_id: UUID


class RetentionChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/datasets/{dataset_id}/retention`."""

    retention_days: RetentionDays | None


# What the service's own parts send. None of these can be sent from outside.


class AddDatasetFile(Command, frozen=True, kw_only=True):
    """A file of that content is stored under `stored_name`; recorded once for each upload."""

    dataset_id: UUID
    upload_id: UUID
    name: str
    stored_name: str
    bytes: int
    sha256: str


class SetDatasetTrainConfig(Command, frozen=True, kw_only=True):
    """The file, checked and stored, is the training configuration that belongs to the dataset."""

    dataset_id: UUID
    file: TrainConfigFile


class ReportFileChecked(Command, frozen=True, kw_only=True):
    """What a file's content was found to be; the same again changes nothing. Fields as of `DatasetFileChecked`."""

    dataset_id: UUID
    upload_id: UUID
    verdict: Verdict
    format: str | None = None
    records: int | None = None
    fields: tuple[str, ...] = ()
    training_format: str | None = None
    problems: tuple[BadLine, ...] = ()
    reason: str | None = None
    bad_records: int = 0
    schema: tuple[FoundField, ...] = ()
    schema_complete: bool = True


class DeriveDatasetVersion(Command, frozen=True, kw_only=True):
    """A de-identification job made these files, stored already, of version `source_version`; recorded once a job."""

    dataset_id: UUID
    source_version: int
    files: tuple[DatasetFile, ...]
    job_id: UUID
    policy_id: str
    policy_version: str


class ExpireDatasetFiles(Command, frozen=True, kw_only=True):
    """Removes the uploads that at moment `at` were kept for as long as the dataset says."""

    dataset_id: UUID
    at: datetime


class RecordDownload(Command, frozen=True, kw_only=True):
    """Somebody is about to be given bytes from `start` up to, not including, `end` of an uploaded file."""

    dataset_id: UUID
    upload_id: UUID
    sha256: str
    start: int
    end: int


# Views. Moments are ISO 8601 UTC with `Z` and milliseconds.


class CreatedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `POST /v1/datasets`."""

    id: UUID
    created_at: str


class LineProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong at a line of a file, of Parquet at a row, counted from 1: its code, and a sentence on it."""

    line: int
    reason: str
    detail: str


class FileCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What the content of a file was found to be, as `DatasetFileChecked` tells it; no more than `pending` before.

    `reason` is the code of why it is invalid and `detail` the sentence on it. `records` are the good ones beside the
    `bad_records`, `problems` the first lines to look at.
    """

    verdict: Literal["pending", "valid", "invalid"] = "pending"
    format: str | None = None
    records: int | None = None
    bad_records: int = 0
    training_format: str | None = None
    reason: str | None = None
    detail: str | None = None
    problems: tuple[LineProblem, ...] = ()
    fields: tuple[str, ...] = ()
    schema: tuple[FoundField, ...] = ()
    schema_complete: bool = True
    checked_at: str | None = None


class DatasetFileView(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a dataset, and what its content was found to be."""

    upload_id: UUID
    name: str
    stored_name: str
    bytes: int
    uploaded_at: str
    sha256: str
    check: FileCheck


class UnfinishedUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A resumable upload: `offset` bytes of `bytes` have arrived; without any more it is removed at `expires_at`."""

    upload_id: UUID
    name: str
    bytes: int
    offset: int
    created_at: str
    expires_at: str


class UploadProgress(msgspec.Struct, frozen=True, kw_only=True):
    """`files_count` counts finished uploads; unfinished ones are seen just now and no part of the past."""

    files_count: int
    unfinished: tuple[UnfinishedUpload, ...] = ()


class TrainConfigRef(msgspec.Struct, frozen=True, kw_only=True):
    """The training configuration that belongs to a dataset, like the answer of `GET /v1/train-config`."""

    filename: str
    uploaded_at: str
    size: int


class DatasetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as lists show it; `version` is the newest, 0 where no file was ever there."""

    id: UUID
    name: str
    type: str | None
    description: str | None
    task_type: str | None
    metadata: dict[str, Any] | None
    created_at: str
    status: DatasetStatus
    version: int
    retention_days: int | None


class DatasetRecord(DatasetSummary, frozen=True, kw_only=True):
    """`GET /v1/datasets/{dataset_id}`.

    `files` are the uploads, as version `uploads_version` names them (0 before the first); a later `version` was made of
    them by de-identification and has files of its own. `check` is `pending` while the content of a file was not looked
    at yet, then `valid` or, as `status`, `invalid`; null without files.
    """

    uploads_version: int
    check: Literal["pending", "valid", "invalid"] | None
    files: tuple[DatasetFileView, ...]
    train_config: TrainConfigRef | None
    upload_progress: UploadProgress


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `PUT /v1/datasets/{dataset_id}/files`."""

    upload_id: UUID
    dataset_id: UUID
    bytes: int
    filename: str
    sha256: str


class UploadState(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/uploads/{upload_id}`: a finished upload, or how far an unfinished one has come."""

    upload_id: UUID
    dataset_id: UUID
    filename: str
    bytes: int
    offset: int
    status: Literal["finished", "unfinished"]


class UploadAborted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `DELETE /v1/uploads/{upload_id}`."""

    upload_id: UUID
    status: Literal["aborted"] = "aborted"


class DatasetRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `DELETE /v1/datasets/{dataset_id}`."""

    id: UUID
    status: Literal["deleted"] = "deleted"


class RetentionOfDataset(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `PUT /v1/datasets/{dataset_id}/retention`."""

    id: UUID
    retention_days: int | None


class VersionFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as a version names it; `available` is false once its bytes were removed, by `removed_at`."""

    upload_id: UUID
    name: str
    stored_name: str
    bytes: int
    sha256: str
    uploaded_at: str
    available: bool
    removed_at: str | None


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a dataset. `sha256` is over the sorted lines `<sha256>  <name>`; `source` and `job_id` are those of
    a de-identified one, made with that version of that policy."""

    number: int
    sha256: str
    created_at: str
    deidentified: bool
    source: int | None
    job_id: UUID | None
    policy_id: str | None
    policy_version: str | None


class VersionDetail(VersionSummary, frozen=True, kw_only=True):
    """`GET /v1/datasets/{dataset_id}/versions/{number}`; `complete`: the bytes of all its files are there."""

    files: tuple[VersionFile, ...]
    complete: bool


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody was given bytes of raw data; `actor` is a person's id, `name` none once that person was erased."""

    position: int
    time: str
    actor: str
    name: str | None
    upload_id: UUID
    start: int
    end: int
