"""Training configurations: commands, and HTTP bodies."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import msgspec

from contracts.command import Command
from contracts.problems import FieldError
from events.train_config import TrainConfigFile

LARGEST = 5 * 1024 * 1024  # bytes of a YAML, wherever it lies: larger ones are neither stored nor derived from


class DeleteTrainConfig(Command, frozen=True, kw_only=True):
    """`DELETE /v1/train-config`: takes the current one out of force; every version stays."""


# Sent by the edge, which has checked and stored the file. None of these can be sent from outside.


class UploadTrainConfig(Command, frozen=True, kw_only=True):
    """The file is the next version, and the current one."""

    file: TrainConfigFile


# Bodies. Moments are ISO 8601 UTC with `Z`, milliseconds.


class TrainConfigView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/train-config`. `size` in bytes; `sha256` of the content in hex."""

    filename: str
    uploaded_at: str
    size: int
    version: int
    sha256: str


class TrainConfigStored(msgspec.Struct, frozen=True, kw_only=True):
    """`PUT /v1/train-config`; `warnings` on what was found and may not be meant, in the order of the file."""

    train_config: TrainConfigView
    warnings: tuple[FieldError, ...] = ()


class DatasetTrainConfigView(msgspec.Struct, frozen=True, kw_only=True):
    """The training configuration that belongs to a dataset, as `TrainConfigView` without a version."""

    filename: str
    uploaded_at: str
    size: int
    sha256: str


class DatasetTrainConfigStored(msgspec.Struct, frozen=True, kw_only=True):
    """`PUT /v1/datasets/{dataset_id}/train-config`, as `TrainConfigStored`."""

    train_config: DatasetTrainConfigView
    warnings: tuple[FieldError, ...] = ()


class TrainConfigGone(msgspec.Struct, frozen=True, kw_only=True):
    """`DELETE /v1/train-config`."""

    status: Literal["train_config_deleted"] = "train_config_deleted"


class TrainConfigVersion(TrainConfigView, frozen=True, kw_only=True):
    """`actor` is the uploader's id, `uploaded_by` the name, none once that person was erased.

    `current`: it is in force; `deleted_at` tells when it was taken out of force by `DELETE`.
    """

    actor: str
    uploaded_by: str | None
    current: bool
    deleted_at: str | None


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """A key that only one of two configurations has: an RFC 6901 pointer, and what it holds there."""

    pointer: str
    value: Any


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    pointer: str
    old: Any
    new: Any


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Key by key; whoever adds a mapping adds one key. Dates and numbers that JSON has no spelling for are text."""

    added: tuple[Present, ...]
    removed: tuple[Present, ...]
    changed: tuple[Changed, ...]


class VersionDifference(Difference, frozen=True, kw_only=True, rename={"from_": "from"}):
    """`GET /v1/train-config/diff`: what has to be done to version `from` to make it version `to`."""

    from_: int
    to: int


class RunConfigDifference(Difference, frozen=True, kw_only=True):
    """`GET …/runs/{run_id}/config-diff`: what has to be done to the YAML of run `other` to make it that of `run_id`."""

    run_id: UUID
    other: UUID
