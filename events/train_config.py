"""The training configuration of the ledger: facts, state, evolve. One aggregate, `TRAIN_CONFIG`."""

from __future__ import annotations

from typing import ClassVar, assert_never
from uuid import UUID, uuid5

import msgspec
from msgspec.structs import replace

from events.event import Event

# Never changes: all uploads of a ledger's training configuration are facts of this aggregate.
TRAIN_CONFIG = UUID("7d3c1a52-0b7e-5f0c-9c1e-2a4d6b8f1e03")


class TrainConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """A YAML file that was checked and stored, which never changes. `size` in bytes, `sha256` in hex.

    `filename` is what the uploader called it, `stored_name` where it lies: a file of its own for each upload.
    """

    filename: str
    stored_name: str
    size: int
    sha256: str


class TrainConfigFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "train_config"


class TrainConfigUploaded(TrainConfigFact, frozen=True, kw_only=True):
    """Version `version` (from 1, without gaps) is the current one from here on."""

    version: int
    file: TrainConfigFile


class TrainConfigDeleted(TrainConfigFact, frozen=True, kw_only=True):
    """There is no current configuration from here on; `version` was it, and stays with its content."""

    version: int


AnyTrainConfigFact = TrainConfigUploaded | TrainConfigDeleted


class TrainConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`versions` in their order, the first has number 1; `current` is the number of the one in force, if any."""

    versions: tuple[TrainConfigFile, ...] = ()
    current: int | None = None

    def version(self, number: int) -> TrainConfigFile | None:
        return self.versions[number - 1] if 0 < number <= len(self.versions) else None


def evolve(config: TrainConfig, fact: AnyTrainConfigFact) -> TrainConfig:
    match fact:
        case TrainConfigUploaded():
            return replace(config, versions=(*config.versions, fact.file), current=fact.version)
        case TrainConfigDeleted():
            return replace(config, current=None)
        case _:
            assert_never(fact)


def version_id(version: int) -> UUID:
    """What a version is called where ids are wanted."""
    return uuid5(TRAIN_CONFIG, str(version))
