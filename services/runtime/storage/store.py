"""The file store: finished files, flat and immutable, beside those that are arriving."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from contracts.problems import Refused
from services.runtime.durable_files import sync_directory
from services.runtime.storage.arriving import Arrived, lock

_THREADS = 8
_PROBE_BYTES = 64 * 1024
_PIECE = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Unsafe(ValueError):
    """A stored name that is none, such as one that would leave the store."""


class Storage:
    """Files lie under `root/files/<stored name>`, those that arrive under `root/incoming`.

    Any number of processes may use one root at a time. Whatever takes time is done in threads of its own.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"
        self.incoming = root / "incoming"
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")

    def prepare(self) -> None:
        """Makes the directories; that of all, where it is not there yet, for nobody else to look into. OSError."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in (self.files, self.incoming):
            directory.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        self.threads.shutdown()

    def path(self, stored_name: str) -> Path:
        """Where a finished file lies. Unsafe."""
        if not stored_name or "/" in stored_name or "\0" in stored_name or stored_name.startswith("."):
            raise Unsafe(f"{stored_name!r} is no name of a stored file")
        return self.files / stored_name

    async def receive(self, chunks: AsyncIterable[bytes], limit: int) -> Arrived:
        """A file as it comes, on disk and hashed; it is the caller's to `place` and end, or to `discard`.

        Where this raises, nothing stays: Refused where it is longer than `limit` bytes (file_too_large), empty
        (file_empty), or where the storage fails, and whatever `chunks` raises.
        """
        with storage_refusals():
            arrived = await self._opened()
            try:
                await _take(arrived, chunks, limit)
            except BaseException:  # a client that went away too
                await arrived.discard()
                raise
            return arrived

    async def _opened(self) -> Arrived:
        opening = asyncio.get_running_loop().run_in_executor(self.threads, self.arriving)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(OSError):
                await (await opening).discard()  # the thread makes it all the same
            raise

    def arriving(self) -> Arrived:
        """A new file to write to. Synchronous. OSError."""
        entry = self.incoming / f"{uuid4().hex}.part"
        descriptor = os.open(entry, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o444)
        lock(descriptor)
        return Arrived(self, entry, descriptor)

    def adopt(self, temporary: Path) -> Arrived:
        """A file that was made on this machine, moved into the store, hashed and synced; else as `receive`.

        Synchronous: call it in a thread. OSError; then the file is where it was.
        """
        if temporary.stat().st_dev != self.incoming.stat().st_dev:
            here = self.incoming / f"{uuid4().hex}.copy"
            shutil.copyfile(temporary, here)
            temporary.unlink()
            temporary = here
        descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        lock(descriptor)  # before a sweep can come upon it
        entry = temporary.replace(self.incoming / f"{uuid4().hex}.part")
        arrived = Arrived(self, entry, descriptor)
        os.fchmod(descriptor, 0o444)
        os.fsync(descriptor)
        arrived.size, arrived.sha256 = hash_file(descriptor)
        return arrived

    def remove(self, stored_name: str) -> None:
        """Removes a finished file; one that is gone is no error. Synchronous. OSError, Unsafe."""
        self.path(stored_name).unlink(missing_ok=True)
        sync_directory(self.files)

    def probe(self) -> None:
        """Raises OSError where a small file cannot be stored. Synchronous."""
        path = self.incoming / f"{uuid4().hex}.probe"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(_PROBE_BYTES))
            os.fsync(descriptor)
        finally:
            path.unlink()
            os.close(descriptor)

    def moving(self) -> AbstractContextManager[None]:
        """While it is held no sweep decides on anything."""
        return self._lock(fcntl.LOCK_SH)

    def alone(self) -> AbstractContextManager[None]:
        """While it is held no file is put into its place, by any process."""
        return self._lock(fcntl.LOCK_EX)

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


async def _take(arrived: Arrived, chunks: AsyncIterable[bytes], limit: int) -> None:
    async for data in chunks:
        if arrived.size + len(data) > limit:
            raise Refused("file_too_large", limit=limit)
        await arrived.write(data)
    if not arrived.size:
        raise Refused("file_empty")
    await arrived.finish()


@contextmanager
def storage_refusals() -> Iterator[None]:
    """Says as a refusal that the storage is full or fails."""
    try:
        yield
    except OSError as error:
        raise Refused("storage_full" if error.errno in _FULL else "storage_unavailable") from error


def hash_file(descriptor: int) -> tuple[int, str]:
    """Size in bytes and SHA-256 in hex of an open file. Synchronous. OSError."""
    digest, position = hashlib.sha256(), 0
    while piece := os.pread(descriptor, _PIECE, position):
        digest.update(piece)
        position += len(piece)
    return position, digest.hexdigest()
