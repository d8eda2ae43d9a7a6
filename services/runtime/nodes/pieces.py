"""Bytes out of the middle of a file, as they are given to whoever asks on the bus."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from contracts.files import LONGEST_PIECE, FileAnswer


def read_piece(path: Path, offset: int, length: int) -> tuple[FileAnswer, bytes]:
    """At most `length` bytes, and never more than LONGEST_PIECE. Synchronous.

    Whatever took the file's place since it was found: no link is followed, and no pipe waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return FileAnswer(status="missing"), b""
    except (OSError, ValueError):
        return FileAnswer(status="unreadable"), b""
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            return FileAnswer(status="directory"), b""
        if not stat.S_ISREG(status.st_mode):
            return FileAnswer(status="unreadable"), b""
        data = os.pread(descriptor, min(max(length, 0), LONGEST_PIECE), max(offset, 0))
        return FileAnswer(status="ok", size=status.st_size, modified=status.st_mtime_ns), data
    except (OSError, OverflowError):
        return FileAnswer(status="unreadable"), b""
    finally:
        os.close(descriptor)
