"""Decisions on datasets and their files."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from contracts.datasets import (
    AbortUpload,
    AddDatasetFile,
    CreateDataset,
    DeleteDataset,
    DeleteDatasetTrainConfig,
    DeriveDatasetVersion,
    ExpireDatasetFiles,
    RecordDownload,
    ReportFileChecked,
    SetDatasetRetention,
    SetDatasetTrainConfig,
)
from contracts.problems import InvalidBody, Refused, Wrong
from events.datasets import (
    Dataset,
    DatasetCreated,
    DatasetDeleted,
    DatasetFile,
    DatasetFileAdded,
    DatasetFileChecked,
    DatasetFileRemoved,
    DatasetFilesExpired,
    DatasetRetentionSet,
    DatasetTrainConfigSet,
    DatasetVersionDerived,
    version_sha256,
    without,
)
from events.downloads import DatasetFileDownloaded
from services.handlers.texts import wrong_with_ends, wrong_with_prose, wrong_with_text, wrong_with_unseen

MOST_FILES = 1_000  # of a dataset at a time: each version of it names them all
_MOST_METADATA = 64 * 1024
_DEEPEST_METADATA = 16


class AddGathered(msgspec.Struct, frozen=True, kw_only=True):
    """`now` is when all of the file had arrived (UTC)."""

    now: datetime


def check_create(command: CreateDataset) -> None:
    """Refuses what can be refused without knowing any state."""
    wrongs = wrong_with_ends("/name", command.name) + wrong_with_text("/name", command.name)
    wrongs += wrong_with_unseen("/name", command.name)
    for pointer, text in (("/type", command.type), ("/task_type", command.task_type)):
        wrongs += wrong_with_text(pointer, text or "")
    wrongs += wrong_with_prose("/description", command.description)
    if command.metadata is not None:
        wrongs += _wrong_with_metadata(command.metadata)
    if wrongs:
        raise InvalidBody(*wrongs)


def create_dataset(_: Dataset, command: CreateDataset, __: None) -> tuple[DatasetCreated, ...]:
    return (DatasetCreated(**msgspec.structs.asdict(command)),)


def add_dataset_file(dataset: Dataset, command: AddDatasetFile, gathered: AddGathered) -> tuple[DatasetFileAdded, ...]:
    """An upload that is on record, also one that was taken back since, is not recorded again."""
    _require(dataset, command.dataset_id)
    if command.upload_id in dataset.removed or dataset.file(command.upload_id) is not None:
        return ()
    if len(dataset.files) >= MOST_FILES:
        raise Refused("too_many_files", limit=MOST_FILES)
    file = DatasetFile(
        upload_id=command.upload_id,
        name=command.name,
        stored_name=command.stored_name,
        bytes=command.bytes,
        sha256=command.sha256,
        uploaded_at=gathered.now,
    )
    added = DatasetFileAdded(
        file=file, version=len(dataset.versions) + 1, version_sha256=version_sha256((*dataset.files, file))
    )
    return (added,)


def abort_upload(dataset: Dataset, command: AbortUpload, _: None) -> tuple[DatasetFileRemoved, ...]:
    """Also a file of a derived version can be taken back; that version stays, and says that its bytes are gone."""
    _require(dataset, command.dataset_id)
    file = dataset.file(command.upload_id)
    if file is None:
        raise Refused("upload_not_found", upload_id=command.upload_id)
    removed = DatasetFileRemoved(upload_id=file.upload_id, stored_name=file.stored_name)
    if file in dataset.files:
        removed = msgspec.structs.replace(
            removed,
            version=len(dataset.versions) + 1,
            version_sha256=version_sha256(without(dataset.files, {file.upload_id})),
        )
    return (removed,)


def set_dataset_retention(dataset: Dataset, command: SetDatasetRetention, _: None) -> tuple[DatasetRetentionSet, ...]:
    _require(dataset, command.dataset_id)
    if dataset.retention_days == command.retention_days:
        return ()
    return (DatasetRetentionSet(retention_days=command.retention_days),)


def set_dataset_train_config(
    dataset: Dataset, command: SetDatasetTrainConfig, _: None
) -> tuple[DatasetTrainConfigSet, ...]:
    _require(dataset, command.dataset_id)
    return (DatasetTrainConfigSet(file=command.file),)


def delete_dataset_train_config(
    dataset: Dataset, command: DeleteDatasetTrainConfig, _: None
) -> tuple[DatasetTrainConfigSet, ...]:
    _require(dataset, command.dataset_id)
    if dataset.train_config is None:
        raise Refused("dataset_train_config_missing", dataset_id=command.dataset_id)
    return (DatasetTrainConfigSet(file=None),)


def delete_dataset(dataset: Dataset, command: DeleteDataset, _: None) -> tuple[DatasetDeleted, ...]:
    _require(dataset, command.dataset_id)
    return (DatasetDeleted(stored_names=dataset.stored_names),)


def _require(dataset: Dataset, dataset_id: UUID) -> None:
    if not dataset.exists:
        raise Refused("dataset_not_found", dataset_id=dataset_id)


def _wrong_with_metadata(metadata: dict[str, object]) -> list[Wrong]:
    if len(msgspec.json.encode(metadata)) > _MOST_METADATA:
        return [Wrong("/metadata", f"超过 {_MOST_METADATA} 字节", f"must have at most {_MOST_METADATA} bytes")]
    if _depth(metadata) > _DEEPEST_METADATA:
        return [Wrong("/metadata", "嵌套过深", "is nested too deeply")]
    return []


def _depth(value: object) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        found, depth = waiting.pop()
        if isinstance(found, dict | list):
            deepest = max(deepest, depth)
            waiting += [(inner, depth + 1) for inner in (found.values() if isinstance(found, dict) else found)]
    return deepest


# Reports of the service's own parts. One that comes again, or too late, changes nothing.


def report_file_checked(dataset: Dataset, command: ReportFileChecked, _: None) -> tuple[DatasetFileChecked, ...]:
    if not dataset.exists or command.upload_id in dataset.checked or dataset.file(command.upload_id) is None:
        return ()
    fields = msgspec.structs.asdict(command)
    del fields["dataset_id"]
    return (DatasetFileChecked(**fields),)


def derive_dataset_version(
    dataset: Dataset, command: DeriveDatasetVersion, _: None
) -> tuple[DatasetVersionDerived, ...]:
    """Raises Refused where the dataset, that version or one of its files is not, or no longer, there."""
    _require(dataset, command.dataset_id)
    if any(version.job_id == command.job_id for version in dataset.versions):
        return ()
    source = dataset.version(command.source_version)
    if source is None:
        raise Refused("dataset_version_not_found", dataset_id=command.dataset_id, version=command.source_version)
    for file in source.files:  # what was taken back is nobody's to derive from
        if dataset.file(file.upload_id) is None:
            raise Refused("dataset_file_gone", name=file.name)
    derived = DatasetVersionDerived(
        version=len(dataset.versions) + 1,
        version_sha256=version_sha256(command.files),
        source=command.source_version,
        files=command.files,
        job_id=command.job_id,
        policy_id=command.policy_id,
        policy_version=command.policy_version,
    )
    return (derived,)


def expire_dataset_files(dataset: Dataset, command: ExpireDatasetFiles, _: None) -> tuple[DatasetFilesExpired, ...]:
    """Uploads only: what de-identification derived of them stays."""
    if not dataset.exists or dataset.retention_days is None:
        return ()
    kept = timedelta(days=dataset.retention_days)
    due = tuple(file for file in dataset.files if file.uploaded_at + kept <= command.at)
    if not due:
        return ()
    expired = DatasetFilesExpired(
        upload_ids=tuple(file.upload_id for file in due),
        stored_names=tuple(file.stored_name for file in due),
        retention_days=dataset.retention_days,
        version=len(dataset.versions) + 1,
        version_sha256=version_sha256(without(dataset.files, {file.upload_id for file in due})),
    )
    return (expired,)


def record_download(_: None, command: RecordDownload, __: None) -> tuple[DatasetFileDownloaded, ...]:
    fields = msgspec.structs.asdict(command)
    return (DatasetFileDownloaded(**fields),)
