"""Decisions on the training configuration."""

from __future__ import annotations

from contracts.problems import Refused
from contracts.train_config import DeleteTrainConfig, UploadTrainConfig
from events.train_config import TrainConfig, TrainConfigDeleted, TrainConfigUploaded


def upload_train_config(config: TrainConfig, command: UploadTrainConfig, _: None) -> tuple[TrainConfigUploaded, ...]:
    """The same content again is another version: that somebody put it in force is what is on record."""
    return (TrainConfigUploaded(version=len(config.versions) + 1, file=command.file),)


def delete_train_config(config: TrainConfig, _: DeleteTrainConfig, __: None) -> tuple[TrainConfigDeleted, ...]:
    if config.current is None:
        raise Refused("train_config_missing")
    return (TrainConfigDeleted(version=config.current),)
