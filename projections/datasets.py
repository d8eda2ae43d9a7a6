"""Datasets: facts folded into the tables `datasets`, `dataset_files`, `dataset_versions` and `downloads`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid5

import msgspec

from contracts.dataset_checks import sentence
from contracts.datasets import FileCheck, LineProblem
from contracts.problems import Language
from contracts.times import zulu_iso
from events.datasets import (
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
)
from events.downloads import DatasetFileDownloaded
from events.train_config import TrainConfigFile
from projections.rows import Rows
from projections.tables import dataset_files, dataset_versions, datasets, downloads, from_column, to_column


class _Checked(msgspec.Struct, frozen=True):
    """A verdict as its column holds it."""

    fact: DatasetFileChecked
    checked_at: str


DELETED = "deleted"  # the status of a row that no list shows


def on_dataset_created(rows: Rows, fact: DatasetCreated) -> None:
    rows.add(
        datasets,
        name=fact.name,
        type=fact.type,
        description=fact.description,
        task_type=fact.task_type,
        metadata=None if fact.metadata is None else msgspec.json.encode(fact.metadata).decode(),
        retention_days=fact.retention_days,
        status="created",
        files=0,
        invalid_files=0,
        version=0,
        created_at=rows.time,
        updated_at=rows.time,
    )


def on_dataset_file_added(rows: Rows, fact: DatasetFileAdded) -> None:
    _add_file(rows, fact.file, None)
    _add_version(rows, fact.version, fact.version_sha256)
    _count(rows, files=1, invalid=0, version=fact.version)


def on_dataset_file_removed(rows: Rows, fact: DatasetFileRemoved) -> None:
    _remove(rows, (fact.upload_id,), fact.version, fact.version_sha256)


def on_dataset_files_expired(rows: Rows, fact: DatasetFilesExpired) -> None:
    _remove(rows, fact.upload_ids, fact.version, fact.version_sha256)


def on_dataset_file_checked(rows: Rows, fact: DatasetFileChecked) -> None:
    identifier = str(fact.upload_id)
    check = _Checked(fact, zulu_iso(from_column(rows.time)))
    file = rows.current(dataset_files, identifier)
    rows.change(dataset_files, identifier, verdict=fact.verdict, checked=msgspec.json.encode(check).decode())
    if fact.verdict == "invalid" and file["derived_version"] is None and file["removed_at"] is None:
        _count(rows, files=0, invalid=1)


def on_dataset_version_derived(rows: Rows, fact: DatasetVersionDerived) -> None:
    for file in fact.files:
        _add_file(rows, file, fact.version)
    _add_version(
        rows,
        fact.version,
        fact.version_sha256,
        deidentified=1,
        source=fact.source,
        job_id=str(fact.job_id),
        policy_id=fact.policy_id,
        policy_version=fact.policy_version,
    )
    _change(rows, version=fact.version)


def on_dataset_retention_set(rows: Rows, fact: DatasetRetentionSet) -> None:
    _change(rows, retention_days=fact.retention_days)


def on_dataset_train_config_set(rows: Rows, fact: DatasetTrainConfigSet) -> None:
    if fact.file is None:
        _change(rows, train_config=None)
        return
    config = DatasetTrainConfig(**msgspec.structs.asdict(fact.file), uploaded_at=zulu_iso(from_column(rows.time)))
    _change(rows, train_config=msgspec.json.encode(config).decode())


def on_dataset_deleted(rows: Rows, _: DatasetDeleted) -> None:
    _change(rows, status=DELETED)


def on_dataset_file_downloaded(rows: Rows, fact: DatasetFileDownloaded) -> None:
    rows.add(
        downloads,
        dataset_id=str(fact.dataset_id),
        upload_id=str(fact.upload_id),
        actor=rows.actor,
        sha256=fact.sha256,
        first_byte=fact.start,
        end_byte=fact.end,
        downloaded_at=rows.time,
    )


class DatasetTrainConfig(TrainConfigFile, frozen=True, kw_only=True):
    """A dataset's training configuration as its column holds it."""

    uploaded_at: str


def train_config_from_column(text: str | None) -> DatasetTrainConfig | None:
    return None if text is None else msgspec.json.decode(text, type=DatasetTrainConfig)


def check_from_column(text: str | None, language: Language) -> FileCheck:
    if text is None:
        return FileCheck()
    checked = msgspec.json.decode(text, type=_Checked)
    found = checked.fact
    problems = (LineProblem(line=p.line, reason=p.reason, detail=sentence(p.reason, language)) for p in found.problems)
    return FileCheck(
        verdict=found.verdict,
        format=found.format,
        records=found.records,
        bad_records=found.bad_records,
        training_format=found.training_format,
        reason=found.reason,
        detail=None if found.reason is None else sentence(found.reason, language),
        problems=tuple(problems),
        fields=found.fields,
        schema=found.schema,
        schema_complete=found.schema_complete,
        checked_at=checked.checked_at,
    )


def version_row_id(dataset_id: UUID, number: int) -> UUID:
    return uuid5(dataset_id, str(number))


def _add_file(rows: Rows, file: DatasetFile, derived_version: int | None) -> None:
    rows.add(
        dataset_files,
        str(file.upload_id),
        dataset_id=rows.aggregate_id,
        name=file.name,
        stored_name=file.stored_name,
        bytes=file.bytes,
        sha256=file.sha256,
        uploaded_at=to_column(file.uploaded_at),
        derived_version=derived_version,
    )


def _add_version(rows: Rows, number: int, sha256: str, *, deidentified: int = 0, **derived: Any) -> None:
    rows.add(
        dataset_versions,
        str(version_row_id(UUID(rows.aggregate_id), number)),
        dataset_id=rows.aggregate_id,
        number=number,
        sha256=sha256,
        deidentified=deidentified,
        created_at=rows.time,
        **derived,
    )


def _remove(rows: Rows, upload_ids: Iterable[UUID], version: int | None, sha256: str | None) -> None:
    """`version` is the one that this makes, none where the files were of derived versions."""
    files = invalid = 0
    for upload_id in upload_ids:
        identifier = str(upload_id)
        row = rows.current(dataset_files, identifier)
        files += row["derived_version"] is None
        invalid += row["derived_version"] is None and row["verdict"] == "invalid"
        rows.change(dataset_files, identifier, removed_at=rows.time)
    if version is not None and sha256 is not None:
        _add_version(rows, version, sha256)
        _count(rows, files=-files, invalid=-invalid, version=version)


def _count(rows: Rows, *, files: int, invalid: int, **columns: Any) -> None:
    row = rows.current(datasets, rows.aggregate_id)
    files, invalid = row["files"] + files, row["invalid_files"] + invalid
    status = "invalid" if invalid else "ready" if files else "created"
    _change(rows, files=files, invalid_files=invalid, status=status, **columns)


def _change(rows: Rows, **columns: Any) -> None:
    rows.change(datasets, updated_at=rows.time, **columns)
