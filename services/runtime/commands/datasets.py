"""Commands on datasets and their files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
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
from events import datasets as dataset_facts
from events import downloads as download_facts
from services.handlers import datasets
from services.runtime.commands.handler import Aggregate, Handler, new
from services.runtime.gathering import sources as gather

DATASETS = Aggregate(dataset_facts.DatasetFact.context, dataset_facts.Dataset(), dataset_facts.evolve)
DOWNLOADS = Aggregate(download_facts.DatasetFileDownloaded.context, None, lambda state, _: state)


def _dataset(command: Any, _: UUID) -> UUID:
    dataset_id: UUID = command.dataset_id
    return dataset_id


HANDLERS: dict[type[Command], Handler] = {
    CreateDataset: Handler(
        aggregate=DATASETS,
        target=new,
        decide=datasets.create_dataset,
        role="operator",
        check=datasets.check_create,
        presume_new=True,
    ),
    AbortUpload: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.abort_upload, role="operator"),
    SetDatasetRetention: Handler(
        aggregate=DATASETS, target=_dataset, decide=datasets.set_dataset_retention, role="operator"
    ),
    DeleteDataset: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.delete_dataset, role="operator"),
    AddDatasetFile: Handler(
        aggregate=DATASETS, target=_dataset, decide=datasets.add_dataset_file, gather=gather.for_add_dataset_file
    ),
    SetDatasetTrainConfig: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.set_dataset_train_config),
    DeleteDatasetTrainConfig: Handler(
        aggregate=DATASETS, target=_dataset, decide=datasets.delete_dataset_train_config, role="operator"
    ),
    ReportFileChecked: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.report_file_checked),
    DeriveDatasetVersion: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.derive_dataset_version),
    ExpireDatasetFiles: Handler(aggregate=DATASETS, target=_dataset, decide=datasets.expire_dataset_files),
    RecordDownload: Handler(
        aggregate=DOWNLOADS,
        target=new,
        decide=datasets.record_download,
        presume_new=True,
    ),
}
