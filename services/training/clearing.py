"""Which runs use the copies that lie in the training directory, and the end of those that no run uses any more."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from events.log import EventLog, LogUnavailable, UnreadableFact
from events.runs import Run
from services.runtime.commands import RUNS
from services.runtime.dispatch import load

DIRECTORIES = ("configs/.trainledger", "datasets/.trainledger")
_COPY = re.compile(r"[0-9a-f]{64}(?:\.[a-z0-9]{1,10})?")
_USE = re.compile(r"\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(.+)\.use")
_LOOK = 600.0  # seconds; runs of other nodes that share the directory end too

_log = logging.getLogger(__name__)


def use(copy: Path, run_id: UUID) -> None:
    """From here on the copy, whether it is there yet or not, stays until the run has ended. Synchronous. OSError."""
    with _alone(copy.parent):
        _create(copy.with_name(f".{run_id}.{copy.name}.use"))


async def clear(root: Path, log: EventLog) -> set[UUID]:
    """Removes the copies that only ended runs used, or none. Safe while runs begin, also those of other nodes.

    That a run uses a copy is noted beside it before the copy is looked at, and whether it has ended the log says: a run
    that ended never begins again. Returns the runs that this ledger does not know: another may, whose copies stay.
    LogUnavailable, OSError.
    """
    unknown: set[UUID] = set()
    for directory in await asyncio.to_thread(_directories, root):
        marked = await asyncio.to_thread(lambda here: {run_id for run_id, _ in _uses(here)}, directory)
        runs: dict[UUID, Run] = {run_id: (await load(log, RUNS, run_id)).state for run_id in marked}
        await asyncio.to_thread(_clear, directory, {run_id for run_id, run in runs.items() if run.ended})
        unknown |= {run_id for run_id, run in runs.items() if run.status is None}
    return unknown


class Clearing:
    """Clears at the start, soon after a run of this node has ended, and now and then."""

    def __init__(self, root: Path, log: EventLog) -> None:
        self._root = root
        self._log = log
        self._ended = asyncio.Event()

    def run_ended(self) -> None:
        self._ended.set()

    async def run(self) -> None:
        """Until cancelled."""
        told: set[UUID] = set()
        while True:
            self._ended.clear()
            try:
                unknown = await clear(self._root, self._log)
                if unknown - told:
                    _log.warning(
                        "copies of uploaded files stay in %s for runs that this ledger does not know; "
                        "where no other trains there, remove the files .<run>.*.use of %s",
                        ", ".join(str(self._root / name) for name in DIRECTORIES),
                        ", ".join(sorted(map(str, unknown))),
                    )
                told = unknown
            except (OSError, LogUnavailable, UnreadableFact) as error:
                _log.warning("copies of uploaded files stay in %s for now: %s", self._root, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._ended.wait()


def _directories(root: Path) -> list[Path]:
    """Those inside of `root`, links resolved."""
    real = [(root / name).resolve() for name in DIRECTORIES]
    return [directory for directory in real if directory.is_relative_to(root.resolve()) and directory.is_dir()]


def _uses(directory: Path) -> list[tuple[UUID, Path]]:
    entries = [(_USE.fullmatch(path.name), path) for path in directory.glob(".*.use")]
    return [(UUID(found[1]), path) for found, path in entries if found is not None]


def _clear(directory: Path, ended: set[UUID]) -> None:
    with _alone(directory):
        used = set()
        for run_id, path in _uses(directory):
            if run_id in ended:
                path.unlink(missing_ok=True)
            else:
                used.add(path.name[len(f".{run_id}.") : -len(".use")])
        for copy in directory.iterdir():
            if _COPY.fullmatch(copy.name) and copy.name not in used:
                copy.unlink(missing_ok=True)
                _log.info("removed %s, which no run uses any more", copy)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """While it is held no other process notes a use or clears."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
