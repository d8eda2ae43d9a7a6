"""Datasets in the tables: files, versions and downloads, now and as of then, whichever batches the facts come in."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import pytest
from msgspec import structs

from events.datasets import (
    DatasetDeleted,
    DatasetFileChecked,
    DatasetFileRemoved,
    DatasetFilesExpired,
    DatasetRetentionSet,
)
from events.downloads import DatasetFileDownloaded
from events.event import Recorded
from projections.database import Database
from projections.ownership import empty_facts
from projections.queries.cut import NOW, Cut
from projections.queries.datasets import (
    DatasetFilters,
    dataset_list,
    dataset_record,
    download_list,
    stored_file,
    version_detail,
    version_list,
)
from tests.datasets.test_decide import CLEAN, CREATED, DERIVED, ONE, TWO, added
from tests.projections.histories import History, identify
from tests.projections.tables import ask, checksum_at, cut_at, fold_all, name_of

DATASET, OTHER, DOWNLOAD = identify("dataset"), identify("other dataset"), identify("download")
HISTORY = (
    History()
    .add(DATASET, CREATED, added(1, ONE), DERIVED)  # 1 to 3
    .add(OTHER, CREATED)  # 4
    .add(DATASET, added(3, ONE, TWO))  # 5
    .add(DATASET, DatasetFileChecked(upload_id=TWO.upload_id, verdict="invalid", reason="no JSON"))  # 6
    .add(
        DOWNLOAD,
        DatasetFileDownloaded(dataset_id=DATASET, upload_id=ONE.upload_id, sha256=ONE.sha256, start=0, end=1),
    )  # 7
    .add(
        DATASET,
        DatasetFileRemoved(upload_id=TWO.upload_id, stored_name=TWO.stored_name, version=4, version_sha256="4" * 64),
        DatasetRetentionSet(retention_days=7),
        DatasetFilesExpired(
            upload_ids=(ONE.upload_id,),
            stored_names=(ONE.stored_name,),
            retention_days=7,
            version=5,
            version_sha256="5" * 64,
        ),
    )  # 8 to 10
    .add(DATASET, DatasetDeleted())  # 11
    .facts
)


def state(database: Database, position: int) -> tuple[str, int, list[UUID]]:
    record = ask(database, partial(dataset_record, dataset_id=DATASET, cut=cut_at(position)))
    assert record is not None
    return record.status, record.version, [file.upload_id for file in record.files]


def version(database: Database, number: int, cut: Cut = NOW) -> list[tuple[UUID, bool]]:
    detail = ask(database, lambda connection: version_detail(connection, DATASET, number, cut))
    assert detail is not None
    return [(file.upload_id, file.available) for file in detail.files]


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_a_dataset_is_shown_as_it_was(database: Database, batch: int) -> None:
    fold_all(database, HISTORY, batch)
    one, two = ONE.upload_id, TWO.upload_id
    assert state(database, 1) == ("created", 0, [])
    assert state(database, 3) == ("ready", 2, [one])
    assert state(database, 5) == ("ready", 3, [one, two])
    assert state(database, 6) == ("invalid", 3, [one, two])
    assert state(database, 8) == ("ready", 4, [one])
    assert state(database, 10) == ("created", 5, [])
    assert ask(database, lambda connection: dataset_record(connection, DATASET)) is None
    listed = ask(database, lambda connection: dataset_list(connection, DatasetFilters()))
    assert [found.id for found in listed.items] == [OTHER]
    assert ask(database, lambda connection: stored_file(connection, one)) is None


def test_a_version_names_its_files_for_ever(database: Database) -> None:
    fold_all(database, HISTORY[:10])
    one, two = ONE.upload_id, TWO.upload_id
    shown = ask(database, lambda connection: version_list(connection, DATASET))
    assert shown is not None
    assert [(found.number, found.deidentified, found.source) for found in shown] == [
        (1, False, None),
        (2, True, 1),
        (3, False, None),
        (4, False, None),
        (5, False, None),
    ]
    assert shown[1].sha256 == DERIVED.version_sha256
    assert version(database, 1) == [(one, False)]
    assert version(database, 2) == [(CLEAN.upload_id, True)]
    assert version(database, 3) == [(one, False), (two, False)]
    assert version(database, 3, cut_at(6)) == [(one, True), (two, True)]
    assert version(database, 5) == []
    assert ask(database, lambda connection: version_detail(connection, DATASET, 4, cut_at(6))) is None


def test_who_was_given_raw_data_is_shown(database: Database) -> None:
    fold_all(database, HISTORY[:10])
    downloads = ask(database, lambda connection: download_list(connection, DATASET, name_of))
    assert downloads is not None
    assert [(found.position, found.name, found.upload_id) for found in downloads] == [(7, "alice", ONE.upload_id)]
    assert ask(database, lambda connection: download_list(connection, DATASET, name_of, cut_at(6))) == ()
    assert ask(database, lambda connection: download_list(connection, identify("none"), name_of)) is None


def test_an_actor_that_no_database_takes_stops_nothing(database: Database) -> None:
    *before, download = HISTORY[:7]
    origin = structs.replace(download.meta.origin, actor="a\0b")
    fold_all(database, [*before, Recorded(download.fact, structs.replace(download.meta, origin=origin))])
    downloads = ask(database, lambda connection: download_list(connection, DATASET, name_of))
    assert downloads is not None
    assert [found.name for found in downloads] == ["a\N{REPLACEMENT CHARACTER}b"]


def test_it_is_the_same_folded_in_one_go_and_bit_by_bit(database: Database) -> None:
    fold_all(database, HISTORY)
    whole = checksum_at(database, len(HISTORY))
    with database.writing() as connection:
        empty_facts(connection)
    fold_all(database, HISTORY, 1)
    assert checksum_at(database, len(HISTORY)) == whole


def test_a_derivation_is_told(database: Database) -> None:
    fold_all(database, HISTORY[:3])
    detail = ask(database, lambda connection: version_detail(connection, DATASET, 2))
    assert detail is not None
    assert (detail.job_id, detail.policy_id, detail.policy_version) == (DERIVED.job_id, "zh-pii", "2024-01-01")
