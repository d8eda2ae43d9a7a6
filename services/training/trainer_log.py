"""LLaMA-Factory's trainer_log.jsonl as bytes: where it lies, and which part of it is a run's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from services.training.regular import opened

_AT_ONCE = 32 * 1024
_TAIL = 1024


class Written(msgspec.Struct, frozen=True):
    """What a file held before the run: `size` bytes, which end with `tail`."""

    size: int
    tail: bytes

    @classmethod
    def of(cls, path: Path) -> Written:
        try:
            with opened(path) as file:
                size = os.fstat(file.fileno()).st_size
                return cls(size, os.pread(file.fileno(), _TAIL, max(size - _TAIL, 0)))
        except OSError:
            return cls(0, b"")

    def still_in(self, path: Path) -> int:
        """How many bytes of it the file begins with: none once it was written anew, as trainers do."""
        return self.size if _read(path, self.size - len(self.tail), len(self.tail)) == self.tail else 0


def unread(places: Sequence[Path], earlier: Written, begin: int) -> bytes:
    """Some of what the run added behind its first `begin` bytes, in the first of these places that has more.

    `earlier` is what lay in the first of them before the run.
    """
    for number, path in enumerate(places):
        others = earlier.still_in(path) if number == 0 else 0
        if data := _read(path, others + begin, _AT_ONCE):
            return data
    return b""


def _read(path: Path, begin: int, most: int) -> bytes:
    """Whatever the trainer did to it: it may be gone, not to be read, or no file at all."""
    try:
        with opened(path) as file:
            return os.pread(file.fileno(), most, begin)
    except OSError:
        return b""
