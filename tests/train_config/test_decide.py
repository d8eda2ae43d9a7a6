"""Decisions on the training configuration."""

from __future__ import annotations

from uuid import UUID

from contracts.datasets import DeleteDatasetTrainConfig, SetDatasetTrainConfig
from contracts.train_config import DeleteTrainConfig, UploadTrainConfig
from events.datasets import DatasetCreated, DatasetDeleted, DatasetTrainConfigSet
from events.train_config import TrainConfigDeleted, TrainConfigFile, TrainConfigUploaded
from services.runtime.commands import DATASETS, TRAIN_CONFIGS
from tests.given import fold, given

FILE = TrainConfigFile(filename="a.yaml", stored_name="1_a.yaml", size=3, sha256="ab" * 32)
OTHER = TrainConfigFile(filename="b.yaml", stored_name="2_b.yaml", size=4, sha256="cd" * 32)
FIRST, SECOND = TrainConfigUploaded(version=1, file=FILE), TrainConfigUploaded(version=2, file=OTHER)
DATASET = UUID(int=1)
CREATED = DatasetCreated(name="pairs")


def test_every_upload_is_a_version() -> None:
    given().when(UploadTrainConfig(file=FILE)).then(FIRST)
    given(FIRST).when(UploadTrainConfig(file=OTHER)).then(SECOND)
    given(FIRST).when(UploadTrainConfig(file=FILE)).then(TrainConfigUploaded(version=2, file=FILE))


def test_the_current_one_is_deleted_and_versions_stay() -> None:
    given(FIRST, SECOND).when(DeleteTrainConfig()).then(TrainConfigDeleted(version=2))
    after = (FIRST, SECOND, TrainConfigDeleted(version=2))
    given(*after).when(DeleteTrainConfig()).then_refused("train_config_missing")
    given(*after).when(UploadTrainConfig(file=FILE)).then(TrainConfigUploaded(version=3, file=FILE))
    config = fold(TRAIN_CONFIGS, after)
    assert (config.current, config.version(1), config.version(2), config.version(3)) == (None, FILE, OTHER, None)


def test_nothing_to_delete() -> None:
    given().when(DeleteTrainConfig()).then_refused("train_config_missing")


def test_a_dataset_has_a_configuration_of_its_own() -> None:
    put = SetDatasetTrainConfig(dataset_id=DATASET, file=FILE)
    given(CREATED).when(put).then(DatasetTrainConfigSet(file=FILE))
    given(CREATED, DatasetTrainConfigSet(file=FILE)).when(DeleteDatasetTrainConfig(dataset_id=DATASET)).then(
        DatasetTrainConfigSet(file=None)
    )
    given(CREATED).when(DeleteDatasetTrainConfig(dataset_id=DATASET)).then_refused("dataset_train_config_missing")
    for facts in ((), (CREATED, DatasetDeleted())):
        given(*facts).when(put).then_refused("dataset_not_found")
        given(*facts).when(DeleteDatasetTrainConfig(dataset_id=DATASET)).then_refused("dataset_not_found")


def test_the_configurations_of_a_dataset_are_among_its_files() -> None:
    """So they go with it, and a sweep does not take them for orphans."""
    facts = (
        CREATED,
        DatasetTrainConfigSet(file=FILE),
        DatasetTrainConfigSet(file=OTHER),
        DatasetTrainConfigSet(file=None),
    )
    assert fold(DATASETS, facts).stored_names == (FILE.stored_name, OTHER.stored_name)
