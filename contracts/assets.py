"""How a project names what it trains on and by: a file of the training directory, or something that was uploaded."""

from __future__ import annotations

import re
from uuid import UUID

import msgspec

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Unicode's Cc (control), Cs (lone surrogates), Zl and Zp (line and paragraph separator), and what ends a path segment.
_FILE = r"[^/\\\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]{1,255}"
_DATASET = re.compile(rf"dataset:({_ID})(?:@([1-9][0-9]{{0,8}}))?(?:/({_FILE}))?", re.IGNORECASE)
_CONFIG = re.compile(r"train-config(?::([1-9][0-9]{0,8}))?")
_DATASET_CONFIG = re.compile(rf"dataset-config:({_ID})(?:@([1-9][0-9]{{0,8}}))?", re.IGNORECASE)
_STORED = re.compile(rf"({_ID})_[\w.\-]+")

DATASET_PREFIX = "dataset:"
CONFIG_PREFIX = "train-config"
DATASET_CONFIG_PREFIX = "dataset-config"


class DatasetReference(msgspec.Struct, frozen=True):
    """`dataset:<id>[@<version>][/<file name>]`: the newest version where none is said, the only file of it likewise."""

    dataset_id: UUID
    version: int | None = None
    file: str | None = None


class ConfigReference(msgspec.Struct, frozen=True):
    """`train-config[:<version>]`, or `dataset-config:<id>[@<version>]` of a dataset's own: the version in force where
    none is said; those of a dataset are counted from 1 too."""

    version: int | None = None
    dataset_id: UUID | None = None


def dataset_reference(name: str) -> DatasetReference | None:
    """None where the name is no such reference."""
    found = _DATASET.fullmatch(name)
    if found is None:
        return None
    return DatasetReference(UUID(found[1]), int(found[2]) if found[2] else None, found[3])


def config_reference(name: str) -> ConfigReference | None:
    """None where the name is no such reference."""
    if (found := _CONFIG.fullmatch(name)) is not None:
        return ConfigReference(int(found[1]) if found[1] else None)
    if (found := _DATASET_CONFIG.fullmatch(name)) is not None:
        return ConfigReference(int(found[2]) if found[2] else None, UUID(found[1]))
    return None


def upload_of(name: str) -> UUID | None:
    """The upload that a stored name, `<upload id>_<name>`, begins with; none where the name has another form."""
    found = _STORED.fullmatch(name)
    return None if found is None else UUID(found[1])
