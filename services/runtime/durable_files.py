"""Files that are there as a whole or not at all, whatever dies meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

_FLUSHED_AT_ONCE = 4 * 1024 * 1024

_NEW = ".new"


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replaces the file at once, fsynced before and after; readers see the old content or the new."""
    new = path.with_name(f".{path.name}.{os.getpid()}{_NEW}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def unfinished_writes(directory: Path) -> Iterator[Path]:
    """What a process that is writing there, or was killed as it did, has of files that are not yet whole."""
    return directory.glob(f".*{_NEW}")


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Flushing:
    """Has a growing file written to the disk meanwhile, so that little is left to wait for when it is complete."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, "flushing")
        self._doing: Future[None] | None = None
        self._new = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Raises OSError where the disk failed, which no later fsync tells again."""
        self._thread.shutdown()
        if error is None and self._doing is not None:
            self._doing.result()

    def wrote(self, size: int) -> None:
        """So many bytes more. Raises OSError where the disk failed meanwhile."""
        self._new += size
        if self._new < _FLUSHED_AT_ONCE or (self._doing is not None and not self._doing.done()):
            return
        if self._doing is not None:
            self._doing.result()
        self._file.flush()
        self._new = 0
        self._doing = self._thread.submit(os.fdatasync, self._file.fileno())
