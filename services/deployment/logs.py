"""The log of a deployment, a file that all its attempts append to: read from any byte, and kept from growing on."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger(__name__)
_MOST_TAIL = 64 * 1024
_TRIM_LOOK = 5.0
_TRIM_STEP = 1024 * 1024  # a multiple of any filesystem's blocks, since only whole ones are given back
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # linux/falloc.h
_libc = ctypes.CDLL(None, use_errno=True)


def size(log: Path) -> int:
    """In bytes, what was given back counted too; 0 where there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def read(log: Path, offset: int, length: int) -> tuple[int, bytes]:
    """Where the bytes begin, and the bytes; a negative offset counts from the end.

    They begin later than asked where what was there has been given back. Raises FileNotFoundError.
    """
    descriptor = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        end = os.fstat(descriptor).st_size
        start = max(end + offset, 0) if offset < 0 else min(offset, end)
        with suppress(OSError):  # there is nothing from there on
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        return start, os.pread(descriptor, length, start)
    finally:
        os.close(descriptor)


def last_lines(
    log: Path, most: int, *, since: int = 0, until: int | None = None, longest: int = _MOST_TAIL
) -> tuple[str, ...]:
    """At most `most` of the last lines from byte `since` to `until`, of at most `longest` bytes.

    None where there is no log.
    """
    until = size(log) if until is None else until
    try:
        start, data = read(log, max(until - longest, since), longest)
    except OSError:
        return ()
    data = data[: max(until - start, 0)]
    return tuple(data.decode(errors="replace").splitlines()[-most:])


def line_start(log: Path, lines: int) -> int:
    """The byte where the last `lines` lines begin, looked for in the last 4 MiB. Raises FileNotFoundError."""
    start, data = read(log, -4 * 1024 * 1024, 4 * 1024 * 1024)
    position = len(data.removesuffix(b"\n"))
    for _ in range(lines):
        position = data.rfind(b"\n", 0, position)
        if position < 0:
            return start
    return start + position + 1


async def keep_short(logs: Callable[[], Iterable[Path]], most: int) -> None:
    """Until cancelled: of each the newest `most` bytes stay on the disk, and a little more."""
    told = False
    while True:
        for log in tuple(logs()):
            try:
                await asyncio.to_thread(trim, log, most)
            except FileNotFoundError:
                continue
            except OSError as error:
                if not told:
                    _log.warning("%s cannot be kept short, and grows: %s", log, error)
                told = True
        await asyncio.sleep(_TRIM_LOOK)


def trim(log: Path, most: int) -> None:
    """Gives back the disk under all but the newest `most` bytes; every byte keeps its offset.

    Raises FileNotFoundError; OSError where the filesystem cannot.
    """
    descriptor = os.open(log, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        end = (state.st_size - most) // _TRIM_STEP * _TRIM_STEP
        if end <= 0:
            return
        start = os.lseek(descriptor, 0, os.SEEK_DATA)
        if start < end and _libc.fallocate(
            descriptor, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_int64(start), ctypes.c_int64(end - start)
        ):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
