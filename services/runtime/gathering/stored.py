"""What of a project's assets was uploaded, as the facts of datasets and of the training configuration tell."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from contracts import assets as names
from contracts.assets import DatasetReference
from events import datasets as dataset_facts
from events import train_config as train_config_facts
from events.datasets import Dataset, DatasetFact
from events.log import EventLog
from events.projects import Project
from events.runs import Run, StoredDataset
from events.train_config import TRAIN_CONFIG, TrainConfig, TrainConfigFact
from services.handlers import assets
from services.handlers.runs import Stored


class Uploads(Protocol):
    async def dataset_of(self, upload_id: UUID) -> UUID | None:
        """The dataset that a file was uploaded to, none where there is no such upload."""
        ...


async def stored_of(project: Project, log: EventLog, uploads: Uploads | None) -> tuple[Stored, tuple[str, ...]]:
    """What the project's names mean now, and the names that only the training directory can know.

    Raises Refused where one means something that cannot be trained on.
    """
    missing: list[str] = []
    elsewhere: list[str] = []
    dataset = config = None
    if (reference := names.dataset_reference(project.dataset_name)) is not None:
        state = await load_dataset(reference.dataset_id, log)
        dataset = assets.stored_dataset(reference, state, deidentified=project.require_deidentified)
        missing += [] if dataset else [project.dataset_name]
    else:
        known, dataset = await _of_stored_name(project.dataset_name, log, uploads)
        if dataset is None:
            (missing if known else elsewhere).append(project.dataset_name)
    if (wanted := names.config_reference(project.training_yaml_name)) is not None:
        if wanted.dataset_id is None:
            config = assets.stored_config(wanted, await load_train_config(log))
        else:
            config = assets.stored_config_of(wanted, await load_dataset(wanted.dataset_id, log))
        missing += [] if config else [project.training_yaml_name]
    else:
        elsewhere.append(project.training_yaml_name)
    return Stored(dataset=dataset, config=config, missing=tuple(missing)), tuple(elsewhere)


async def stored_for(run: Run, log: EventLog) -> tuple[Stored, tuple[str, ...]]:
    """What a run used of what was uploaded, at the same versions, and the names of the rest."""
    missing: list[str] = []
    if (stored := run.stored_dataset) is not None and not assets.is_there(
        stored, await load_dataset(stored.dataset_id, log)
    ):
        missing.append(stored.name)
    by = run.stored_config
    if by is not None and by.dataset_id is not None:
        missing += [] if assets.config_is_there(by, await load_dataset(by.dataset_id, log)) else [by.name]
    elsewhere = [] if stored is not None else [run.dataset]
    elsewhere += [] if run.stored_config is not None else [run.training_yaml]
    return Stored(dataset=stored, config=run.stored_config, missing=tuple(missing)), tuple(elsewhere)


async def _of_stored_name(name: str, log: EventLog, uploads: Uploads | None) -> tuple[bool, StoredDataset | None]:
    """Whether that name was ever given to an upload, and its file, none where that is not there any more."""
    upload_id = names.upload_of(name)
    dataset_id = None if upload_id is None or uploads is None else await uploads.dataset_of(upload_id)
    if dataset_id is None:
        return False, None
    return True, assets.stored_file(DatasetReference(dataset_id), await load_dataset(dataset_id, log), name)


async def load_dataset(dataset_id: UUID, log: EventLog) -> Dataset:
    dataset = Dataset()
    for recorded in await log.read(DatasetFact.context, dataset_id):
        assert isinstance(recorded.fact, dataset_facts.AnyDatasetFact)
        dataset = dataset_facts.evolve(dataset, recorded.fact)
    return dataset


async def load_train_config(log: EventLog) -> TrainConfig:
    config = TrainConfig()
    for recorded in await log.read(TrainConfigFact.context, TRAIN_CONFIG):
        assert isinstance(recorded.fact, train_config_facts.AnyTrainConfigFact)
        config = train_config_facts.evolve(config, recorded.fact)
    return config
