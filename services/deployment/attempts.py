"""Attempts of deployments: where each lies, what marks its processes, and the log that all of a deployment share."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import msgspec

from services.runtime.children import wrapped

MARK = "TRAINLEDGER_DEPLOYMENT"
_MOST_TAIL = 64 * 1024


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """`directory` is its alone, `log` the file that its output is appended to."""

    deployment_id: UUID
    number: int
    directory: Path
    log: Path

    @property
    def mark(self) -> str:
        return f"{MARK}={self.deployment_id}/{self.number}"


def prepare(attempt: Attempt) -> None:
    """Leads the attempt's output into the deployment's log."""
    attempt.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    attempt.log.parent.mkdir(parents=True, exist_ok=True)
    output = wrapped.output(attempt)
    if not output.is_symlink():
        output.symlink_to(attempt.log.absolute())


def log_size(log: Path) -> int:
    """In bytes, 0 where there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def last_lines(
    log: Path, most: int, *, since: int = 0, until: int | None = None, longest: int = _MOST_TAIL
) -> tuple[str, ...]:
    """At most `most` of the last lines from byte `since` to `until`, of at most `longest` bytes.

    None where there is no log.
    """
    until = log_size(log) if until is None else until
    try:
        start, data = read(log, max(until - longest, since), longest)
    except OSError:
        return ()
    data = data[: max(until - start, 0)]
    return tuple(data.decode(errors="replace").splitlines()[-most:])


def line_start(log: Path, lines: int) -> int:
    """The byte where the last `lines` lines begin, looked for in the last 4 MiB."""
    start, data = read(log, -4 * 1024 * 1024, 4 * 1024 * 1024)
    position = len(data.removesuffix(b"\n"))
    for _ in range(lines):
        position = data.rfind(b"\n", 0, position)
        if position < 0:
            return start
    return start + position + 1


def read(log: Path, offset: int, length: int) -> tuple[int, bytes]:
    """Where the bytes begin, and the bytes; a negative offset counts from the end. Raises FileNotFoundError."""
    descriptor = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        start = max(size + offset, 0) if offset < 0 else min(offset, size)
        return start, os.pread(descriptor, length, start)
    finally:
        os.close(descriptor)
