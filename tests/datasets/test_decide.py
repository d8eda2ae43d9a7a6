"""What is decided on datasets, by what is known of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from contracts.datasets import (
    AbortUpload,
    AddDatasetFile,
    CreateDataset,
    DeleteDataset,
    DeriveDatasetVersion,
    ExpireDatasetFiles,
    RecordDownload,
    ReportFileChecked,
    SetDatasetRetention,
)
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
    DatasetVersionDerived,
    version_sha256,
)
from events.downloads import DatasetFileDownloaded
from events.event import Event
from services.handlers.datasets import MOST_FILES, AddGathered
from services.runtime.commands import DATASETS
from tests.given import fold, given

NOW = datetime(2024, 4, 12, 8, 55, tzinfo=UTC)
DATASET, JOB = UUID(int=1), UUID(int=2)
CREATED = DatasetCreated(name="pairs")


def file(number: int, name: str = "train.jsonl", uploaded_at: datetime = NOW) -> DatasetFile:
    upload_id = UUID(int=100 + number)
    return DatasetFile(
        upload_id=upload_id,
        name=name,
        stored_name=f"{upload_id}_{name}",
        bytes=number,
        sha256=f"{number:064x}",
        uploaded_at=uploaded_at,
    )


def added(version: int, *files: DatasetFile) -> DatasetFileAdded:
    """The last of the files is the new one."""
    return DatasetFileAdded(file=files[-1], version=version, version_sha256=version_sha256(files))


ONE, TWO, CLEAN = file(1), file(2, "more.jsonl"), file(3)
ADDED_ONE, ADDED_TWO = added(1, ONE), added(2, ONE, TWO)
DERIVED = DatasetVersionDerived(
    version=2,
    version_sha256=version_sha256([CLEAN]),
    source=1,
    files=(CLEAN,),
    job_id=JOB,
    policy_id="zh-pii",
    policy_version="2024-01-01",
)
DERIVE = DeriveDatasetVersion(
    dataset_id=DATASET, source_version=1, files=(CLEAN,), job_id=JOB, policy_id="zh-pii", policy_version="2024-01-01"
)


def add(which: DatasetFile) -> AddDatasetFile:
    fields = msgspec.structs.asdict(which)
    del fields["uploaded_at"]
    return AddDatasetFile(dataset_id=DATASET, **fields)


def abort(which: DatasetFile) -> AbortUpload:
    return AbortUpload(dataset_id=DATASET, upload_id=which.upload_id)


def state(*facts: Event) -> Dataset:
    folded: Dataset = fold(DATASETS, facts)
    return folded


def test_a_dataset_is_created() -> None:
    command = CreateDataset(name="pairs", type="text2text", metadata={"records": 1}, retention_days=30)
    given().when(command).then(
        DatasetCreated(name="pairs", type="text2text", metadata={"records": 1}, retention_days=30)
    )
    for name in ("a\x00b", "\u200b", "a\u202eb"):
        given().when(CreateDataset(name=name)).then_refused("invalid_body")


def test_each_file_makes_a_version() -> None:
    gathered = AddGathered(now=NOW)
    given(CREATED).when(add(ONE), gathered).then(ADDED_ONE)
    given(CREATED, ADDED_ONE).when(add(TWO), gathered).then(ADDED_TWO)
    given(CREATED, ADDED_ONE).when(add(ONE), gathered).then()
    given().when(add(ONE), gathered).then_refused("dataset_not_found")
    given(CREATED, DatasetDeleted()).when(add(ONE), gathered).then_refused("dataset_not_found")
    removed = DatasetFileRemoved(
        upload_id=ONE.upload_id, stored_name=ONE.stored_name, version=2, version_sha256=version_sha256([])
    )
    given(CREATED, ADDED_ONE, removed).when(add(ONE), gathered).then()  # a command that comes late


def test_a_dataset_has_at_most_so_many_files() -> None:
    files = [file(number) for number in range(MOST_FILES)]
    full = [CREATED, *(DatasetFileAdded(file=one, version=1, version_sha256="") for one in files)]
    given(*full).when(add(file(MOST_FILES)), AddGathered(now=NOW)).then_refused("too_many_files")


def test_an_upload_is_taken_back_once() -> None:
    removed = DatasetFileRemoved(
        upload_id=ONE.upload_id, stored_name=ONE.stored_name, version=3, version_sha256=version_sha256([TWO])
    )
    given(CREATED, ADDED_ONE, ADDED_TWO).when(abort(ONE)).then(removed)
    given(CREATED, ADDED_ONE, ADDED_TWO, removed).when(abort(ONE)).then_refused("upload_not_found")
    given(CREATED).when(abort(ONE)).then_refused("upload_not_found")
    after = state(CREATED, ADDED_ONE, ADDED_TWO, removed)
    assert [version.files for version in after.versions] == [(ONE,), (ONE, TWO), (TWO,)]
    assert after.stored_names == (TWO.stored_name,)


def test_a_derived_version_is_recorded_once_a_job_and_changes_no_upload() -> None:
    given(CREATED, ADDED_ONE).when(DERIVE).then(DERIVED)
    given(CREATED, ADDED_ONE, DERIVED).when(DERIVE).then()
    given(CREATED).when(DERIVE).then_refused("dataset_version_not_found")
    taken_back = DatasetFileRemoved(
        upload_id=ONE.upload_id, stored_name=ONE.stored_name, version=2, version_sha256=version_sha256([])
    )
    given(CREATED, ADDED_ONE, taken_back).when(DERIVE).then_refused("dataset_file_gone")
    after = state(CREATED, ADDED_ONE, DERIVED)
    assert after.files == (ONE,)
    assert after.current == after.version(1)
    assert (after.versions[1].deidentified, after.versions[1].files) == (True, (CLEAN,))
    assert set(after.stored_names) == {ONE.stored_name, CLEAN.stored_name}
    gone = DatasetFileRemoved(upload_id=CLEAN.upload_id, stored_name=CLEAN.stored_name)
    given(CREATED, ADDED_ONE, DERIVED).when(abort(CLEAN)).then(gone)
    assert len(state(CREATED, ADDED_ONE, DERIVED, gone).versions) == 2


def test_a_check_is_recorded_once() -> None:
    report = ReportFileChecked(dataset_id=DATASET, upload_id=ONE.upload_id, verdict="invalid", reason="no JSON")
    fact = DatasetFileChecked(upload_id=ONE.upload_id, verdict="invalid", reason="no JSON")
    given(CREATED, ADDED_ONE).when(report).then(fact)
    given(CREATED, ADDED_ONE, fact).when(report).then()
    given(CREATED).when(report).then()
    assert state(CREATED).status == "created"
    assert state(CREATED, ADDED_ONE).status == "ready"
    assert state(CREATED, ADDED_ONE, fact).status == "invalid"
    removed = DatasetFileRemoved(
        upload_id=ONE.upload_id, stored_name=ONE.stored_name, version=2, version_sha256=version_sha256([])
    )
    assert state(CREATED, ADDED_ONE, fact, removed).status == "created"


@pytest.mark.parametrize(("days", "due"), [(None, ()), (29, (ONE,)), (30, (ONE,)), (31, ())])
def test_uploads_expire_by_what_the_dataset_says(days: int | None, due: tuple[DatasetFile, ...]) -> None:
    young = file(2, "young.jsonl", NOW + timedelta(days=20))
    before = (DatasetCreated(name="pairs", retention_days=days), ADDED_ONE, added(2, ONE, young))
    expired = [
        DatasetFilesExpired(
            upload_ids=(one.upload_id,),
            stored_names=(one.stored_name,),
            retention_days=days or 0,
            version=3,
            version_sha256=version_sha256([young]),
        )
        for one in due
    ]
    given(*before).when(ExpireDatasetFiles(dataset_id=DATASET, at=NOW + timedelta(days=30))).then(*expired)


def test_retention_is_set_once() -> None:
    given(CREATED).when(SetDatasetRetention(dataset_id=DATASET, retention_days=7)).then(
        DatasetRetentionSet(retention_days=7)
    )
    given(CREATED).when(SetDatasetRetention(dataset_id=DATASET, retention_days=None)).then()
    given().when(SetDatasetRetention(dataset_id=DATASET, retention_days=7)).then_refused("dataset_not_found")


def test_deleting_names_all_bytes() -> None:
    deleted = DatasetDeleted(stored_names=(ONE.stored_name, CLEAN.stored_name))
    given(CREATED, ADDED_ONE, DERIVED).when(DeleteDataset(dataset_id=DATASET)).then(deleted)
    given(CREATED, deleted).when(DeleteDataset(dataset_id=DATASET)).then_refused("dataset_not_found")


def test_a_download_is_recorded() -> None:
    fields: dict[str, Any] = {
        "dataset_id": DATASET, "upload_id": ONE.upload_id, "sha256": ONE.sha256, "start": 0, "end": 1
    }  # fmt: skip
    given().when(RecordDownload(**fields)).then(DatasetFileDownloaded(**fields))
