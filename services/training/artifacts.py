"""Finds what a run left in its output directory, beside its checkpoints."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from services.training.regular import opened


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


def children(directory: Path) -> list[Path]:
    """None that are named by anything but text: no fact could tell of them."""
    try:
        return [path for path in directory.iterdir() if _is_text(path.name)]
    except OSError:
        return []


def measure(directory: Path) -> tuple[int, int]:
    """The size of its files in bytes, and how many there are."""
    size = files = 0
    for base, _, names in os.walk(directory):
        for name in names:
            status = os.lstat(os.path.join(base, name))  # noqa: PTH118 - a checkpoint may have thousands of files
            if stat.S_ISREG(status.st_mode):
                size, files = size + status.st_size, files + 1
    return size, files


def _directories(directory: Path, levels: int, level: int = 0) -> Iterator[tuple[Path, int]]:
    yield directory, level
    if level < levels:
        for child in children(directory):
            if child.is_dir() and not child.is_symlink() and not child.name.startswith("checkpoint-"):
                yield from _directories(child, levels, level + 1)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
