"""Commands on the training configuration."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.train_config import DeleteTrainConfig, UploadTrainConfig
from events import train_config as train_config_facts
from services.handlers import train_config
from services.runtime.commands.handler import Aggregate, Handler

TRAIN_CONFIGS = Aggregate(
    train_config_facts.TrainConfigFact.context, train_config_facts.TrainConfig(), train_config_facts.evolve
)


def _the_only(_: Any, __: UUID) -> UUID:
    return train_config_facts.TRAIN_CONFIG


HANDLERS: dict[type[Command], Handler] = {
    UploadTrainConfig: Handler(aggregate=TRAIN_CONFIGS, target=_the_only, decide=train_config.upload_train_config),
    DeleteTrainConfig: Handler(
        aggregate=TRAIN_CONFIGS, target=_the_only, decide=train_config.delete_train_config, role="operator"
    ),
}
