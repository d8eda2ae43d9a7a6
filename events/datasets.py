"""Datasets: facts, state, evolve."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Literal, assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from events.event import Event
from events.train_config import TrainConfigFile

DatasetStatus = Literal["created", "ready", "invalid"]
Verdict = Literal["valid", "invalid"]


class DatasetFile(msgspec.Struct, frozen=True, kw_only=True):
    """A stored file, which never changes. `name` is what the uploader called it, `stored_name` where it lies.

    `bytes` is its size, `sha256` in hex, `uploaded_at` when all of it had arrived (UTC).
    """

    upload_id: UUID
    name: str
    stored_name: str
    bytes: int
    sha256: str
    uploaded_at: datetime


class BadLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong at a line of a file, counted from 1."""

    line: int
    reason: str


class FoundField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the records of a file, with the types its values have there; `present` counts records with it.

    `types` are JSON's (`string`, `integer`, `number`, `boolean`, `null`, `array`, `object`), of Parquet the column's.
    """

    name: str
    types: tuple[str, ...]
    present: int


class DatasetFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "datasets"


class DatasetCreated(DatasetFact, frozen=True, kw_only=True):
    """`retention_days`: how long an uploaded file is kept, none for ever."""

    name: str
    type: str | None = None
    description: str | None = None
    task_type: str | None = None
    metadata: dict[str, Any] | None = None
    retention_days: int | None = None


class DatasetFileAdded(DatasetFact, frozen=True, kw_only=True):
    """The file is stored safely. It makes version `version`, whose hash is `version_sha256`."""

    file: DatasetFile
    version: int
    version_sha256: str


class DatasetFileRemoved(DatasetFact, frozen=True, kw_only=True):
    """Somebody took the upload back: its bytes go, also those that an older version names.

    `version` is the version that this makes, none where the file was of a derived version, which stays as it is.
    """

    upload_id: UUID
    stored_name: str
    version: int | None = None
    version_sha256: str | None = None


class DatasetFilesExpired(DatasetFact, frozen=True, kw_only=True):
    """These uploads were kept for `retention_days`: their bytes go, also those that an older version names."""

    upload_ids: tuple[UUID, ...]
    stored_names: tuple[str, ...]
    retention_days: int
    version: int
    version_sha256: str


class DatasetFileChecked(DatasetFact, frozen=True, kw_only=True):
    """What the content of a file was found to be. `problems` are its first bad lines, `reason` why it is invalid.

    Both reasons are codes of contracts.dataset_checks. `format` is `jsonl`, `json`, `csv`, `tsv`, `parquet`, `text` or,
    of what is not looked into, `other`; `training_format` `alpaca`, `sharegpt`, `preference`, `text` or others as they
    come, none where it was not recognised. `bad_records` counts all, beside the good `records`. `schema` tells more of
    `fields`; `schema_complete`: no field was left out for their number.
    """

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


class DatasetVersionDerived(DatasetFact, frozen=True, kw_only=True):
    """The de-identification `job_id` made `files` out of those of version `source`; the uploads stay as they are."""

    version: int
    version_sha256: str
    source: int
    files: tuple[DatasetFile, ...]
    job_id: UUID
    policy_id: str
    policy_version: str


class DatasetRetentionSet(DatasetFact, frozen=True, kw_only=True):
    retention_days: int | None


class DatasetTrainConfigSet(DatasetFact, frozen=True, kw_only=True):
    """The training configuration that belongs to the dataset from here on, none where it was taken away."""

    file: TrainConfigFile | None


class DatasetDeleted(DatasetFact, frozen=True, kw_only=True):
    """All its bytes go, of every version; `stored_names` are those of the files that were still there."""

    stored_names: tuple[str, ...] = ()


AnyDatasetFact = (
    DatasetCreated
    | DatasetFileAdded
    | DatasetFileRemoved
    | DatasetFilesExpired
    | DatasetFileChecked
    | DatasetVersionDerived
    | DatasetRetentionSet
    | DatasetTrainConfigSet
    | DatasetDeleted
)


class DatasetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a moment; number and hash for ever mean the same. All after `files` is of a derived one."""

    number: int
    sha256: str
    files: tuple[DatasetFile, ...]
    deidentified: bool = False
    source: int | None = None
    job_id: UUID | None = None
    policy_id: str | None = None
    policy_version: str | None = None


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as its facts tell it; `name` is empty before it was created.

    `files` are the uploads that are there, which a derived version does not change. `checked` holds the verdict on a
    file, `removed` the uploads whose bytes are gone. `train_configs` are those that it ever had, `train_config` is the
    one in force.
    """

    name: str = ""
    retention_days: int | None = None
    files: tuple[DatasetFile, ...] = ()
    versions: tuple[DatasetVersion, ...] = ()
    checked: dict[UUID, Verdict] = msgspec.field(default_factory=dict)
    removed: frozenset[UUID] = frozenset()
    deleted: bool = False
    train_config: TrainConfigFile | None = None
    train_configs: tuple[TrainConfigFile, ...] = ()

    @property
    def exists(self) -> bool:
        return self.name != "" and not self.deleted

    @property
    def status(self) -> DatasetStatus:
        if any(self.checked.get(file.upload_id) == "invalid" for file in self.files):
            return "invalid"
        return "ready" if self.files else "created"

    @property
    def current(self) -> DatasetVersion | None:
        """The newest version of the uploads themselves, none before the first upload."""
        return next((version for version in reversed(self.versions) if not version.deidentified), None)

    def version(self, number: int) -> DatasetVersion | None:
        return self.versions[number - 1] if 0 < number <= len(self.versions) else None

    def file(self, upload_id: UUID) -> DatasetFile | None:
        """A file whose bytes are there, of the uploads or of a derived version."""
        derived = (version.files for version in self.versions if version.deidentified)
        files = (file for files in (self.files, *derived) for file in files)
        return next((file for file in files if file.upload_id == upload_id and upload_id not in self.removed), None)

    @property
    def stored_names(self) -> tuple[str, ...]:
        """Every file whose bytes are there."""
        derived = (version.files for version in self.versions if version.deidentified)
        files = (file for files in (self.files, *derived) for file in files)
        kept = tuple(file.stored_name for file in files if file.upload_id not in self.removed)
        return (*kept, *(config.stored_name for config in self.train_configs))


def evolve(dataset: Dataset, fact: AnyDatasetFact) -> Dataset:
    match fact:
        case DatasetCreated():
            return replace(dataset, name=fact.name, retention_days=fact.retention_days)
        case DatasetFileAdded():
            return _with_files(dataset, (*dataset.files, fact.file), fact.version_sha256)
        case DatasetFileRemoved():
            removed = replace(dataset, removed=dataset.removed | {fact.upload_id})
            if fact.version_sha256 is None:
                return removed
            return _with_files(removed, without(dataset.files, {fact.upload_id}), fact.version_sha256)
        case DatasetFilesExpired():
            expired = replace(dataset, removed=dataset.removed | set(fact.upload_ids))
            return _with_files(expired, without(dataset.files, set(fact.upload_ids)), fact.version_sha256)
        case DatasetFileChecked():
            return replace(dataset, checked=dataset.checked | {fact.upload_id: fact.verdict})
        case DatasetVersionDerived():
            version = DatasetVersion(
                number=fact.version,
                sha256=fact.version_sha256,
                files=fact.files,
                deidentified=True,
                source=fact.source,
                job_id=fact.job_id,
                policy_id=fact.policy_id,
                policy_version=fact.policy_version,
            )
            return replace(dataset, versions=(*dataset.versions, version))
        case DatasetRetentionSet():
            return replace(dataset, retention_days=fact.retention_days)
        case DatasetTrainConfigSet():
            configs = dataset.train_configs if fact.file is None else (*dataset.train_configs, fact.file)
            return replace(dataset, train_config=fact.file, train_configs=configs)
        case DatasetDeleted():
            return replace(dataset, deleted=True)
        case _:
            assert_never(fact)


def without(files: tuple[DatasetFile, ...], upload_ids: set[UUID]) -> tuple[DatasetFile, ...]:
    return tuple(file for file in files if file.upload_id not in upload_ids)


def version_sha256(files: Iterable[DatasetFile]) -> str:
    """SHA-256 in hex over the sorted lines `<sha256>  <name>`, each ended by a line feed, as sha256sum prints them."""
    lines = sorted(f"{file.sha256}  {file.name}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _with_files(dataset: Dataset, files: tuple[DatasetFile, ...], sha256: str) -> Dataset:
    version = DatasetVersion(number=len(dataset.versions) + 1, sha256=sha256, files=files)
    return replace(dataset, files=files, versions=(*dataset.versions, version))
