"""Finds what a run left in its output directory."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from services.training.regular import opened

_STATE = "trainer_state.json"
_LARGEST_JSON = 256 * 1024 * 1024  # a million steps that were logged take less
_LONGEST_NAME = 255
_SETTLED = 1.0  # seconds for which a checkpoint's last file was left alone while the run goes on


class Found(msgspec.Struct, frozen=True):
    """`size` in bytes over all `files`; `sha256` in hex for a single file."""

    name: str
    type: str
    path: str
    size: int
    files: int = 1
    sha256: str | None = None


def resolve(root: Path, name: str) -> Path | None:
    """The path that a name in the training directory leads to, none where it leads out of it or to nothing."""
    try:
        path = (root / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    return path if path.is_relative_to(root.resolve()) else None


def checkpoints(directory: Path, since: float, *, ended: bool, known: AbstractSet[str] = frozenset()) -> list[Found]:
    """Complete Hugging Face checkpoints written after `since` (Unix seconds), in the order of their steps.

    Those whose paths are `known` are left out. While the run goes on, they have to be at rest for a moment.
    """
    found = []
    for path in _children(directory):
        step = path.name.removeprefix("checkpoint-")
        if step == path.name or not step.isdigit() or path.is_symlink() or str(path) in known:
            continue
        try:
            written = (path / _STATE).lstat().st_mtime
            if written < since or (not ended and time.time() - written < _SETTLED) or not is_complete(path):
                continue
            size, files = _measure(path)
        except OSError:
            continue  # not complete, or just being taken away by the trainer
        found.append((int(step), Found(path.name, "checkpoint", str(path), size, files)))
    return [artifact for _, artifact in sorted(found, key=lambda entry: entry[0])]


def is_complete(checkpoint: Path) -> bool:
    """Whether it is there and whole, as far as its own files tell.

    trainer_state.json is what a trainer writes last. What an index of shards and DeepSpeed's `latest` name has to be
    there: a trainer that was killed while it took an old checkpoint away leaves any part of it.
    """
    try:
        if not isinstance(_json(checkpoint / _STATE), dict):
            return False
        for index in checkpoint.glob("*.index.json"):
            shards = set(_json(index)["weight_map"].values())
            if not all((checkpoint / shard).is_file() for shard in shards):
                return False
        with suppress(FileNotFoundError), opened(checkpoint / "latest") as latest:
            return (checkpoint / latest.read(_LONGEST_NAME).decode().strip()).is_dir()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return True


def _json(path: Path) -> Any:
    """Not by msgspec: where a loss is nan, a trainer writes NaN."""
    with opened(path) as file:
        content = file.read(_LARGEST_JSON + 1)
    if len(content) > _LARGEST_JSON:
        raise ValueError(f"{path} is larger than any trainer writes it")
    return json.loads(content)


def tensorboards(directory: Path, since: float) -> list[Found]:
    """Directories with TensorBoard event files written after `since`, at most three levels down."""
    found = []
    for path, level in _directories(directory, 3):
        try:
            events = [child for child in path.iterdir() if child.name.startswith("events.out.tfevents.")]
            sizes = [child.stat().st_size for child in events if child.stat().st_mtime >= since]
        except OSError:
            continue
        if sizes:
            name = "tensorboard" if level == 0 else path.relative_to(directory).as_posix()
            found.append(Found(name, "tensorboard", str(path), sum(sizes), len(sizes)))
    return found


def trainer_logs(directory: Path, since: float) -> list[Found]:
    """LLaMA-Factory's log of unrounded values by step, where it was written after `since`."""
    path = directory / "trainer_log.jsonl"
    try:
        with opened(path) as file:
            if os.fstat(file.fileno()).st_mtime < since:
                return []
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return [Found(path.name, "metrics", str(path), file.tell(), sha256=sha256)]
    except OSError:
        return []


def _children(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _directories(directory: Path, levels: int, level: int = 0) -> Iterator[tuple[Path, int]]:
    yield directory, level
    if level < levels:
        for child in _children(directory):
            if child.is_dir() and not child.is_symlink() and not child.name.startswith("checkpoint-"):
                yield from _directories(child, levels, level + 1)


def _measure(directory: Path) -> tuple[int, int]:
    size = files = 0
    for base, _, names in os.walk(directory):
        for name in names:
            status = os.lstat(os.path.join(base, name))  # noqa: PTH118 - a checkpoint may have thousands of files
            if stat.S_ISREG(status.st_mode):
                size, files = size + status.st_size, files + 1
    return size, files
