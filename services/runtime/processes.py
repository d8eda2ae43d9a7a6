"""Processes that an earlier start left behind: found by their exact command line, ended for certain."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

Arguments = tuple[str, ...]


class FoundProcess:
    """A running process, held by a descriptor so that a recycled pid is never mistaken for it."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor

    def send(self, signal_: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal_)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within that time."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def end(self, patience: float) -> None:
        """Waits for the end that was asked for, then KILL. TimeoutError: not even that did."""
        if self.wait(patience):
            return
        self.send(signal.SIGKILL)
        if not self.wait(10):
            raise TimeoutError(f"process {self.pid} does not end")

    def close(self) -> None:
        os.close(self._descriptor)


def find(is_ours: Callable[[Arguments], bool]) -> list[FoundProcess]:
    """Every process but this one whose whole command line `is_ours`. Close each when done."""
    return [found for pid in _pids() if pid != os.getpid() and (found := _held(pid, is_ours)) is not None]


def hold(pid: int) -> FoundProcess | None:
    """The process that has this pid now, if any. Close it when done."""
    try:
        return FoundProcess(pid, os.pidfd_open(pid))
    except ProcessLookupError:
        return None


def end_all(is_ours: Callable[[Arguments], bool], patience: float) -> list[int]:
    """Ends all that `find` gives, and returns their pids. TimeoutError: one does not end."""
    found = find(is_ours)
    try:
        for process in found:
            process.send(signal.SIGTERM)
            process.send(signal.SIGCONT)  # one that was suspended ends only when it runs
        deadline = time.monotonic() + patience
        for process in found:
            process.end(max(0.0, deadline - time.monotonic()))
        return [process.pid for process in found]
    finally:
        for process in found:
            process.close()


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208  # names are enough


def _held(pid: int, is_ours: Callable[[Arguments], bool]) -> FoundProcess | None:
    if not is_ours(_arguments(pid)):
        return None
    process = hold(pid)
    if process is None or is_ours(_arguments(pid)):  # still: from here on the descriptor keeps it
        return process
    process.close()
    return None


def _arguments(pid: int) -> Arguments:
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ()
    return tuple(os.fsdecode(part) for part in content.removesuffix(b"\0").split(b"\0"))
