"""A file on its way into the store: written and hashed off the event loop, and owned until a fact names it."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import UUID

from services.runtime.durable_files import sync_directory

DOUBTFUL = ".doubtful"
# Bytes that are written at a time: as many as arrive while the ones before are written, so that of a slow sender little
# is lost where this process is killed, and of a fast one few blocks are handed to a thread.
_LEAST, _MOST = 1 << 19, 1 << 21

T = TypeVar("T")


class Place(Protocol):
    """What of the store an arriving file needs to know."""

    @property
    def threads(self) -> Executor: ...

    @property
    def files(self) -> Path: ...

    @property
    def incoming(self) -> Path: ...

    def path(self, stored_name: str) -> Path: ...

    def moving(self) -> AbstractContextManager[None]: ...


class Arrived:
    """A file under `incoming`, locked (flock) by this process, so that a sweep knows that somebody looks after it.

    `size` in bytes and `sha256` in hex are final once `finish` returned. Then `place` puts it into the store, and one
    of these ends it: `settle` once a fact names it, `discard` where none will, `doubt` where nobody can say.
    """

    def __init__(self, place: Place, entry: Path, descriptor: int) -> None:
        self._place = place
        self._entry = entry
        self._descriptor = descriptor
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._writing: asyncio.Future[None] | None = None
        self._stored: Path | None = None
        self._beside = False  # whether a file that is not this one lies under the name already
        self.size = 0
        self.sha256 = ""

    async def write(self, data: bytes) -> None:
        """Takes some more; at most two blocks are in memory. OSError, of this or of an earlier piece."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.size += len(data)
        idle = self._writing is None or self._writing.done()
        if self._waiting_bytes >= (_LEAST if idle else _MOST):
            await self._flush()

    async def finish(self) -> None:
        """Everything is written, hashed and on disk. OSError."""
        await self._flush()
        await self._written()
        await self._run(os.fsync, self._descriptor)
        self.sha256 = await self._run(self._hashed)

    async def place(self, dataset_id: UUID, stored_name: str) -> None:
        """Puts the file under its name, durably. A file of the same upload and content may lie there already. OSError.

        The entry under `incoming` stays, and tells a sweep of which dataset a fact may name the file.
        """
        await self._run(self._link, dataset_id, stored_name)

    async def settle(self) -> None:
        """A fact names it: it is the store's."""
        await self._run(self._end, False)

    async def discard(self) -> None:
        """No fact names it, or will: nothing of it stays."""
        await self._still()
        await self._run(self._end, True)

    async def doubt(self) -> None:
        """The log did not say whether a fact names it: a later sweep finds out."""
        await self._still()
        await self._run(self._leave)

    async def _flush(self) -> None:
        await self._written()
        block, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if block:
            loop = asyncio.get_running_loop()
            self._writing = loop.run_in_executor(self._place.threads, self._write, block)

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                self._writing = writing
                raise

    async def _still(self) -> None:
        """No thread uses the descriptor any more, so it can be closed; whether the last write failed is all one."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))
            if not self._writing.cancelled():
                self._writing.exception()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._place.threads, work, *arguments)

    def _write(self, block: list[bytes]) -> None:
        write_all(self._descriptor, block)
        begin_writing_back(self._descriptor, sum(map(len, block)))
        self._hash(block)

    def _hash(self, block: list[bytes]) -> None:
        for data in block:
            self._digest.update(data)

    def _hashed(self) -> str:
        return self._digest.hexdigest()

    def _link(self, dataset_id: UUID, stored_name: str) -> None:
        target = self._place.path(stored_name)
        os.utime(self._descriptor)
        with self._place.moving():
            self._enter(self._place.incoming / f"{dataset_id}.{stored_name}")
            try:
                target.hardlink_to(self._entry)
                self._stored = target
            except FileExistsError:
                # Its own where an attempt before this one was killed; else another's, which a fact may name.
                same = os.path.samestat(target.stat(follow_symlinks=False), os.fstat(self._descriptor))
                self._stored = target if same else None
                self._beside = not same
        sync_directory(self._place.files)

    def _enter(self, entry: Path) -> None:
        self._entry.replace(entry)
        self._entry = entry

    def _end(self, remove: bool) -> None:
        if remove and self._beside:
            self._leave()  # a sweep finds out whether a fact names what lies there
            return
        if remove and self._stored is not None:
            self._stored.unlink(missing_ok=True)
        self._entry.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _leave(self) -> None:
        os.utime(self._descriptor)
        with suppress(FileNotFoundError):  # ended by another who stored the same upload at the same time
            self._entry.replace(self._entry.with_name(self._entry.name + DOUBTFUL))
        os.close(self._descriptor)


def lock(descriptor: int) -> bool:
    """Whether the open file is now locked by this description of it, and so was by nobody else."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def begin_writing_back(descriptor: int, size: int) -> None:
    """Has the disk take the last `size` bytes while more arrive, so that little is left for `fsync` to wait for.

    Linux begins to write what is said not to be needed any more, and drops none of it, as it is not written yet.
    """
    end = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.posix_fadvise(descriptor, end - size, size, os.POSIX_FADV_DONTNEED)


def write_all(descriptor: int, block: list[bytes]) -> None:
    """Everything, in order, at the end of the file. OSError."""
    for data in block:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
