"""Commands on datasets, which are answered by what they say and led to; no read model is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.command import Command
from contracts.datasets import (
    AbortUpload,
    AddDatasetFile,
    CreateDataset,
    CreatedDataset,
    DatasetRemoved,
    DeleteDataset,
    RecordDownload,
    RetentionOfDataset,
    SetDatasetRetention,
    UploadAborted,
    Uploaded,
)
from contracts.times import zulu_iso
from services.runtime.dispatch import Accepted


def _dataset_created(_: CreateDataset, accepted: Accepted) -> CreatedDataset:
    return CreatedDataset(id=accepted.aggregate_id, created_at=zulu_iso(accepted.recorded[0].meta.time))


def _uploaded(command: AddDatasetFile, _: Accepted) -> Uploaded:
    return Uploaded(
        upload_id=command.upload_id,
        dataset_id=command.dataset_id,
        bytes=command.bytes,
        filename=command.name,
        sha256=command.sha256,
    )


def _retention_set(command: SetDatasetRetention, _: Accepted) -> RetentionOfDataset:
    return RetentionOfDataset(id=command.dataset_id, retention_days=command.retention_days)


TOLD: dict[type[Command], Callable[[Any, Accepted], Any]] = {
    CreateDataset: _dataset_created,
    AddDatasetFile: _uploaded,
    AbortUpload: lambda command, _: UploadAborted(upload_id=command.upload_id),
    SetDatasetRetention: _retention_set,
    DeleteDataset: lambda command, _: DatasetRemoved(id=command.dataset_id),
    RecordDownload: lambda _, accepted: {"id": accepted.aggregate_id},
}
