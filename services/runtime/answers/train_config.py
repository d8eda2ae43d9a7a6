"""Commands on training configurations, which are answered by what they led to; no read model is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.command import Command
from contracts.datasets import DeleteDatasetTrainConfig, SetDatasetTrainConfig
from contracts.times import zulu_iso
from contracts.train_config import (
    DatasetTrainConfigStored,
    DatasetTrainConfigView,
    DeleteTrainConfig,
    TrainConfigGone,
    TrainConfigStored,
    TrainConfigView,
    UploadTrainConfig,
)
from events.train_config import TrainConfigUploaded
from services.runtime.dispatch import Accepted


def _stored(_: UploadTrainConfig, accepted: Accepted) -> TrainConfigStored:
    recorded = accepted.recorded[-1]
    fact = recorded.fact
    assert isinstance(fact, TrainConfigUploaded)
    return TrainConfigStored(
        train_config=TrainConfigView(
            filename=fact.file.filename,
            uploaded_at=zulu_iso(recorded.meta.time),
            size=fact.file.size,
            version=fact.version,
            sha256=fact.file.sha256,
        )
    )


def _set(command: SetDatasetTrainConfig, accepted: Accepted) -> DatasetTrainConfigStored:
    return DatasetTrainConfigStored(
        train_config=DatasetTrainConfigView(
            filename=command.file.filename,
            uploaded_at=zulu_iso(accepted.recorded[-1].meta.time),
            size=command.file.size,
            sha256=command.file.sha256,
        )
    )


TOLD: dict[type[Command], Callable[[Any, Accepted], Any]] = {
    UploadTrainConfig: _stored,
    DeleteTrainConfig: lambda _, __: TrainConfigGone(),
    SetDatasetTrainConfig: _set,
    DeleteDatasetTrainConfig: lambda _, __: TrainConfigGone(),
}
