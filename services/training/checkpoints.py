"""Finds the checkpoints that a run left, as Hugging Face's Trainer, DeepSpeed and Megatron-LM write them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.training.artifacts import Found, children, measure
from services.training.regular import opened

_NAME = re.compile(r"(checkpoint-|global_step|iter_)([0-9]{1,18})")
_STATE = "trainer_state.json"  # what a trainer writes last
# DeepSpeed and Megatron-LM write there, once all processes have saved theirs, which checkpoint is the last whole one.
_TRACKERS = {"global_step": "latest", "iter_": "latest_checkpointed_iteration.txt"}
_LARGEST_JSON = 256 * 1024 * 1024  # a million steps that were logged take less
_LONGEST_TAG = 255
_SETTLED = 1.0  # seconds for which a checkpoint's last file was left alone while the run goes on


def checkpoints(directory: Path, since: float, *, ended: bool, known: AbstractSet[str] = frozenset()) -> list[Found]:
    """Complete checkpoints written after `since` (Unix seconds), in the order of their steps.

    Those whose paths are `known` are left out. While the run goes on, they have to be at rest for a moment.
    """
    found = []
    for path in children(directory):
        name = _NAME.fullmatch(path.name)
        if name is None or path.is_symlink() or str(path) in known:
            continue
        try:
            written = (path if name[1] in _TRACKERS else path / _STATE).lstat().st_mtime
            if written < since or (not ended and time.time() - written < _SETTLED) or not is_complete(path):
                continue
            size, files = measure(path)
        except OSError:
            continue  # not complete, or just being taken away by the trainer
        found.append((int(name[2]), Found(path.name, "checkpoint", str(path), size, files)))
    return [artifact for _, artifact in sorted(found, key=lambda entry: entry[0])]


def is_complete(checkpoint: Path) -> bool:
    """Whether it is there and whole, as far as the files tell."""
    name = _NAME.fullmatch(checkpoint.name)
    try:
        if name is not None and name[1] in _TRACKERS:
            last = _NAME.fullmatch(tag := _tag(checkpoint.parent / _TRACKERS[name[1]]))
            return checkpoint.is_dir() and int(name[2]) <= int(last[2] if last else tag)
        return _is_complete_of_trainer(checkpoint)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def _is_complete_of_trainer(checkpoint: Path) -> bool:
    """What an index of shards and DeepSpeed's tag name has to be there: a trainer that was killed while it took an old
    checkpoint away leaves any part of it."""
    if not isinstance(_json(checkpoint / _STATE), dict):
        return False
    for index in checkpoint.glob("*.index.json"):
        shards = set(_json(index)["weight_map"].values())
        if not all((checkpoint / shard).is_file() for shard in shards):
            return False
    with suppress(FileNotFoundError):
        return (checkpoint / _tag(checkpoint / "latest")).is_dir()
    return True


def _tag(file: Path) -> str:
    with opened(file) as tracker:
        return tracker.read(_LONGEST_TAG).decode().strip()


def _json(path: Path) -> Any:
    """Not by msgspec: where a loss is nan, a trainer writes NaN."""
    with opened(path) as file:
        content = file.read(_LARGEST_JSON + 1)
    if len(content) > _LARGEST_JSON:
        raise ValueError(f"{path} is larger than any trainer writes it")
    return json.loads(content)
