"""Which uploaded file, at which version, a name means: of a dataset, or of the training configuration."""

from __future__ import annotations

import re
from uuid import UUID

from contracts.assets import ConfigReference, DatasetReference
from contracts.problems import Refused
from events.datasets import Dataset, DatasetFile, DatasetVersion
from events.runs import StoredConfig, StoredDataset
from events.train_config import TrainConfig, TrainConfigFile

# Below the directories that the documented examples use, where the training command finds them in a container too.
_DATASETS = "datasets/.trainledger"
_CONFIGS = "configs/.trainledger"
_ENDING = re.compile(r".*(\.[A-Za-z0-9]{1,10})", re.DOTALL)


def stored_dataset(
    reference: DatasetReference, dataset: Dataset, *, deidentified: bool = False
) -> StoredDataset | None:
    """None where it is not, or no longer, there. `deidentified`: the version must be, where the reference names none.

    Raises Refused where it is there and cannot be trained on.
    """
    version = _version(reference, dataset, deidentified)
    if version is None:
        return None
    file = _file(reference, version)
    if file is None or file.upload_id in dataset.removed:
        return None
    if dataset.checked.get(file.upload_id) == "invalid":
        raise Refused("dataset_file_invalid", name=file.name, dataset_id=reference.dataset_id)
    return _stored(reference, version, file)


def stored_file(reference: DatasetReference, dataset: Dataset, stored_name: str) -> StoredDataset | None:
    """The file of that stored name, as the newest version that has it. Else as `stored_dataset`."""
    for version in reversed(dataset.versions):
        if any(file.stored_name == stored_name for file in version.files):
            wanted = DatasetReference(reference.dataset_id, version.number, stored_name)
            return stored_dataset(wanted, dataset)
    return None


def is_there(stored: StoredDataset, dataset: Dataset) -> bool:
    """Whether the bytes of what a run trained on still are."""
    version = dataset.version(stored.version)
    files = version.files if version is not None and dataset.exists else ()
    return any(file.stored_name == stored.stored_name and file.upload_id not in dataset.removed for file in files)


def stored_config(reference: ConfigReference, config: TrainConfig) -> StoredConfig | None:
    """None where there is no such version, or none in force."""
    number = config.current if reference.version is None else reference.version
    file = None if number is None else config.version(number)
    if number is None or file is None:
        return None
    return _stored_config(file, number, f"train-config:{number}")


def stored_config_of(reference: ConfigReference, dataset: Dataset) -> StoredConfig | None:
    """As `stored_config`, of a dataset's own. What was replaced or taken away stays until the dataset is deleted."""
    configs = dataset.train_configs if dataset.exists else ()
    number = reference.version
    if number is None:
        number = len(configs) if dataset.train_config is not None else 0
    if not 0 < number <= len(configs):
        return None
    name = f"dataset-config:{reference.dataset_id}@{number}"
    return _stored_config(configs[number - 1], number, name, reference.dataset_id)


def config_is_there(stored: StoredConfig, dataset: Dataset) -> bool:
    """Whether the bytes of a dataset's configuration that a run trained by still are."""
    return dataset.exists and any(config.stored_name == stored.stored_name for config in dataset.train_configs)


def _stored_config(file: TrainConfigFile, number: int, name: str, dataset_id: UUID | None = None) -> StoredConfig:
    return StoredConfig(
        version=number,
        name=name,
        filename=file.filename,
        stored_name=file.stored_name,
        size=file.size,
        sha256=file.sha256,
        path=f"{_CONFIGS}/{file.sha256}.yaml",
        dataset_id=dataset_id,
    )


def _version(reference: DatasetReference, dataset: Dataset, deidentified: bool) -> DatasetVersion | None:
    if not dataset.exists:
        return None
    if reference.version is not None:
        return dataset.version(reference.version)
    if deidentified:
        return next((version for version in reversed(dataset.versions) if version.deidentified), None)
    return dataset.current


def _file(reference: DatasetReference, version: DatasetVersion) -> DatasetFile | None:
    """Raises Refused where several files may be meant."""
    if reference.file is None:
        files = version.files
    else:
        files = tuple(file for file in version.files if reference.file in (file.name, file.stored_name))
    if len(files) > 1:
        names = sorted({file.stored_name if reference.file is not None else file.name for file in files})
        raise Refused(
            "dataset_file_ambiguous", dataset_id=reference.dataset_id, version=version.number, names=", ".join(names)
        )
    return files[0] if files else None


def _stored(reference: DatasetReference, version: DatasetVersion, file: DatasetFile) -> StoredDataset:
    ending = _ENDING.fullmatch(file.name)
    return StoredDataset(
        dataset_id=reference.dataset_id,
        version=version.number,
        name=f"dataset:{reference.dataset_id}@{version.number}/{file.name}",
        stored_name=file.stored_name,
        size=file.bytes,
        sha256=file.sha256,
        path=f"{_DATASETS}/{file.sha256}{ending[1].lower() if ending else ''}",
        deidentified=version.deidentified,
        job_id=version.job_id,
        policy_id=version.policy_id,
        policy_version=version.policy_version,
    )
