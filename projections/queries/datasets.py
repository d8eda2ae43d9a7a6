"""The views of datasets: their files, versions and downloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from contracts.datasets import (
    DatasetFileView,
    DatasetRecord,
    DatasetSummary,
    Download,
    TrainConfigRef,
    UploadProgress,
    VersionDetail,
    VersionFile,
    VersionSummary,
)
from contracts.problems import Language
from contracts.times import zulu_iso
from projections.datasets import DELETED, DatasetTrainConfig, check_from_column, train_config_from_column
from projections.queries.cut import NOW, Cut
from projections.tables import dataset_files, dataset_versions, datasets, downloads, from_column

# A person's name by id, none once the person was erased.
NameOf = Callable[[UUID], str | None]


class DatasetFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which datasets a list shows: `name` is a part of the name, whatever its case; the others are as they are."""

    name: str | None = None
    type: str | None = None
    task_type: str | None = None
    status: str | None = None


class DatasetPage(msgspec.Struct, frozen=True):
    """Datasets in the order of their creation; `after` is where the next page begins, none on the last."""

    items: tuple[DatasetSummary, ...]
    after: int | None


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as a download needs it; `available` is false once its bytes were removed, `raw` of what was uploaded."""

    dataset_id: UUID
    upload_id: UUID
    name: str
    stored_name: str
    bytes: int
    sha256: str
    raw: bool
    available: bool


def dataset_list(
    connection: Connection, filters: DatasetFilters, cut: Cut = NOW, *, after: int = 0, limit: int | None = None
) -> DatasetPage:
    """Those that the filters let through, or at most `limit` of those created after position `after`."""
    wanted = [_there(cut), datasets.c.created > after]
    if filters.name is not None:
        wanted.append(func.lower(datasets.c.name).contains(filters.name.lower(), autoescape=True))
    wanted += [
        datasets.c[column] == value
        for column in ("type", "task_type", "status")
        if (value := getattr(filters, column)) is not None
    ]
    statement = select(datasets).where(*wanted).order_by(datasets.c.created)
    if limit is not None:
        statement = statement.limit(limit + 1)
    rows = connection.execute(statement).mappings().all()
    more = limit is not None and len(rows) > limit
    shown = rows[:limit]
    return DatasetPage(tuple(DatasetSummary(**_fields(row)) for row in shown), shown[-1]["created"] if more else None)


def dataset_record(
    connection: Connection, dataset_id: UUID, cut: Cut = NOW, *, language: Language = "zh"
) -> DatasetRecord | None:
    """A dataset with its uploads, none where it did not exist at the cut. What is unfinished is not on record.

    What was found wrong with files is told in that language.
    """
    row = _row(connection, dataset_id, cut)
    if row is None:
        return None
    uploads = (_of(dataset_id), cut.holds(dataset_files), *_UPLOADS)
    statement = select(dataset_files).where(*uploads).order_by(dataset_files.c.created)
    files = tuple(_file(found, language) for found in connection.execute(statement).mappings())
    config = train_config_from_column(row["train_config"])
    return DatasetRecord(
        **_fields(row),
        uploads_version=connection.execute(_uploads_version(dataset_id, cut)).scalar_one_or_none() or 0,
        check=_check(files),
        files=files,
        train_config=None
        if config is None
        else TrainConfigRef(filename=config.filename, uploaded_at=config.uploaded_at, size=config.size),
        upload_progress=UploadProgress(files_count=len(files)),
    )


def dataset_train_config(connection: Connection, dataset_id: UUID, cut: Cut = NOW) -> DatasetTrainConfig | None:
    """Of a dataset that exists at the cut; none where it has none."""
    row = _row(connection, dataset_id, cut)
    return None if row is None else train_config_from_column(row["train_config"])


def dataset_exists(connection: Connection, dataset_id: UUID, cut: Cut = NOW) -> bool:
    return _row(connection, dataset_id, cut) is not None


def stored_file(connection: Connection, upload_id: UUID) -> StoredFile | None:
    """A file of now, none where there is no such upload or its dataset was deleted."""
    statement = (
        select(dataset_files)
        .join(datasets, datasets.c.id == dataset_files.c.dataset_id)
        .where(dataset_files.c.id == str(upload_id), NOW.holds(dataset_files), _there(NOW))
    )
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        return None
    return StoredFile(
        dataset_id=UUID(row["dataset_id"]),
        upload_id=upload_id,
        name=row["name"],
        stored_name=row["stored_name"],
        bytes=row["bytes"],
        sha256=row["sha256"],
        raw=row["derived_version"] is None,
        available=row["removed_at"] is None,
    )


def version_list(connection: Connection, dataset_id: UUID, cut: Cut = NOW) -> tuple[VersionSummary, ...] | None:
    """Oldest first, none where there was no such dataset at the cut."""
    if not dataset_exists(connection, dataset_id, cut):
        return None
    rows = connection.execute(_versions(dataset_id, cut).order_by(dataset_versions.c.number)).mappings()
    return tuple(VersionSummary(**_version(row)) for row in rows)


def version_detail(connection: Connection, dataset_id: UUID, number: int, cut: Cut = NOW) -> VersionDetail | None:
    """A version with its files and whether their bytes were there at the cut; none where there was no such version."""
    row = connection.execute(_versions(dataset_id, cut).where(dataset_versions.c.number == number)).mappings().first()
    if row is None or not dataset_exists(connection, dataset_id, cut):
        return None
    # The uploads that a version names are those that were there at its fact: no version needs a list of its own.
    then = Cut(row["created"], from_column(row["created_at"]))
    named: Sequence[ColumnElement[bool]] = (then.holds(dataset_files), *_UPLOADS)
    if row["deidentified"]:
        named = (then.holds(dataset_files), dataset_files.c.derived_version == number)
    of_version = select(dataset_files.c.id).where(_of(dataset_id), *named)
    statement = (
        select(dataset_files)
        .where(dataset_files.c.id.in_(of_version), cut.holds(dataset_files))
        .order_by(dataset_files.c.created, dataset_files.c.name)
    )
    files = tuple(_version_file(found) for found in connection.execute(statement).mappings())
    return VersionDetail(**_version(row), files=files, complete=all(file.available for file in files))


def download_list(
    connection: Connection, dataset_id: UUID, name_of: NameOf, cut: Cut = NOW
) -> tuple[Download, ...] | None:
    """Who was given raw data, oldest first; none where there was no such dataset at the cut."""
    if not dataset_exists(connection, dataset_id, cut):
        return None
    of_dataset = (downloads.c.dataset_id == str(dataset_id), cut.holds(downloads))
    rows = connection.execute(select(downloads).where(*of_dataset).order_by(downloads.c.created)).mappings()
    return tuple(
        Download(
            position=row["created"],
            time=_iso(row["downloaded_at"]),
            actor=row["actor"],
            name=_name(row["actor"], name_of),
            upload_id=UUID(row["upload_id"]),
            start=row["first_byte"],
            end=row["end_byte"],
        )
        for row in rows
    )


_UPLOADS = (dataset_files.c.derived_version.is_(None), dataset_files.c.removed_at.is_(None))


def _there(cut: Cut) -> ColumnElement[bool]:
    return cut.holds(datasets) & (datasets.c.status != DELETED)


def _of(dataset_id: UUID) -> ColumnElement[bool]:
    return dataset_files.c.dataset_id == str(dataset_id)


def _row(connection: Connection, dataset_id: UUID, cut: Cut) -> RowMapping | None:
    statement = select(datasets).where(datasets.c.id == str(dataset_id), _there(cut))
    return connection.execute(statement).mappings().one_or_none()


def _versions(dataset_id: UUID, cut: Cut) -> Any:
    of_dataset = dataset_versions.c.dataset_id == str(dataset_id)
    return select(dataset_versions).where(of_dataset, cut.holds(dataset_versions))


def _uploads_version(dataset_id: UUID, cut: Cut) -> Any:
    own = _versions(dataset_id, cut).where(dataset_versions.c.deidentified == 0).subquery()
    return select(func.max(own.c.number))


def _fields(row: RowMapping) -> dict[str, Any]:
    return {
        "id": UUID(row["id"]),
        "name": row["name"],
        "type": row["type"],
        "description": row["description"],
        "task_type": row["task_type"],
        "metadata": None if row["metadata"] is None else msgspec.json.decode(row["metadata"]),
        "created_at": _iso(row["created_at"]),
        "status": row["status"],
        "version": row["version"],
        "retention_days": row["retention_days"],
    }


def _check(files: Sequence[DatasetFileView]) -> Literal["pending", "valid", "invalid"] | None:
    verdicts = {file.check.verdict for file in files}
    return next((verdict for verdict in ("invalid", "pending", "valid") if verdict in verdicts), None)


def _file(row: RowMapping, language: Language) -> DatasetFileView:
    return DatasetFileView(
        upload_id=UUID(row["id"]),
        name=row["name"],
        stored_name=row["stored_name"],
        bytes=row["bytes"],
        uploaded_at=_iso(row["uploaded_at"]),
        sha256=row["sha256"],
        check=check_from_column(row["checked"], language),
    )


def _version(row: RowMapping) -> dict[str, Any]:
    return {
        "number": row["number"],
        "sha256": row["sha256"],
        "created_at": _iso(row["created_at"]),
        "deidentified": bool(row["deidentified"]),
        "source": row["source"],
        "job_id": None if row["job_id"] is None else UUID(row["job_id"]),
        "policy_id": row["policy_id"],
        "policy_version": row["policy_version"],
    }


def _version_file(row: RowMapping) -> VersionFile:
    return VersionFile(
        upload_id=UUID(row["id"]),
        name=row["name"],
        stored_name=row["stored_name"],
        bytes=row["bytes"],
        sha256=row["sha256"],
        uploaded_at=_iso(row["uploaded_at"]),
        available=row["removed_at"] is None,
        removed_at=None if row["removed_at"] is None else _iso(row["removed_at"]),
    )


def _name(actor: str, name_of: NameOf) -> str | None:
    try:
        return name_of(UUID(actor))
    except ValueError:
        return actor


def _iso(microseconds: int) -> str:
    return zulu_iso(from_column(microseconds))
