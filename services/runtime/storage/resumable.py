"""Uploads that are sent in pieces: each byte that is on disk counts, whatever died since."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from contracts.problems import Refused
from services.runtime.durable_files import unfinished_writes, write_durably
from services.runtime.storage.arriving import Arrived, lock
from services.runtime.storage.names import stored_name
from services.runtime.storage.store import Storage, hash_file, storage_refusals

_MOST_DIGESTS = 256  # of uploads at work, kept so that a whole file need not be read again at its end
_YOUNGEST = 60.0  # seconds in which a part may be without its description, which is written after it, to its end

T = TypeVar("T")


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What was said when the upload was created. `length` in bytes."""

    upload_id: UUID
    dataset_id: UUID
    name: str
    length: int
    created_at: datetime

    @property
    def stored_name(self) -> str:
        return stored_name(self.upload_id, self.name)


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """An upload as its files tell it; `expires_at` moves with every byte."""

    described: Described
    offset: int
    expires_at: datetime

    @property
    def complete(self) -> bool:
        return self.offset == self.described.length


class Resumable:
    """Unfinished uploads under `root/uploads`: `<upload id>.json` and `.part`, whose size is the offset.

    The size of a file grows with the bytes that were appended to it, in a crash of the machine too (ext4 in its usual
    mode, XFS), so that it needs no record beside it. `kept_seconds` after the last byte an upload has expired.
    """

    def __init__(self, storage: Storage, kept_seconds: float) -> None:
        self._storage = storage
        self._kept = kept_seconds
        self._digests: dict[UUID, tuple[int, Any]] = {}
        self._appending: dict[UUID, asyncio.Timeout] = {}
        self._directory = storage.root / "uploads"

    def prepare(self) -> None:
        """OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)

    async def create(self, upload_id: UUID, dataset_id: UUID, name: str, length: int) -> Unfinished:
        """One that is there already stays as it is. Raises Refused where the storage fails."""
        described = Described(
            upload_id=upload_id, dataset_id=dataset_id, name=name, length=length, created_at=datetime.now(UTC)
        )
        with storage_refusals():
            return await self._run(self._create, described)

    async def find(self, upload_id: UUID) -> Unfinished | None:
        """Also one that has expired and was not removed yet. Raises Refused where the storage fails."""
        with storage_refusals():
            return await self._run(self._find, upload_id)

    async def all(self) -> list[Unfinished]:
        """Oldest first. Raises Refused where the storage fails."""
        with storage_refusals():
            return await self._run(self._all)

    async def append(self, upload_id: UUID, offset: int, chunks: AsyncIterable[bytes]) -> Unfinished:
        """Takes bytes from `offset` on, which must be what has arrived; all that came counts, also if `chunks` raises.

        Raises Refused: upload_busy, upload_taken_over, upload_not_found, upload_offset_wrong, file_too_large where
        there are more than were announced, or where the storage fails.
        """
        with storage_refusals():
            part, found = await self._run(self._open, upload_id)
            try:
                if offset != found.offset:
                    raise Refused("upload_offset_wrong", offset=found.offset)
                await self._take(part, found.described, chunks)
            finally:
                # Whatever is in memory is written: the sender must not send it again.
                await part.pause()
            return msgspec.structs.replace(found, offset=part.size, expires_at=self._expiry(time.time()))

    def interrupt(self, upload_id: UUID) -> None:
        """Has an `append` of this process end soon, as it may wait for a sender whose connection was lost unseen."""
        if (appending := self._appending.pop(upload_id, None)) is not None:
            appending.reschedule(asyncio.get_running_loop().time())

    async def complete(self, upload_id: UUID) -> tuple[Described, Part]:
        """The whole file, hashed and synced, to be placed and ended. Raises Refused as `append`."""
        with storage_refusals():
            part, found = await self._run(self._open, upload_id)
            try:
                await self._finish(part, found)
            except BaseException:
                await part.doubt()
                raise
            return found.described, part

    async def abort(self, upload_id: UUID) -> bool:
        """Removes what has arrived, unless all has: then it may be on record, and False is returned.

        Raises Refused: upload_busy, upload_not_found, or where the storage fails.
        """
        with storage_refusals():
            part, found = await self._run(self._open, upload_id)
            await (part.doubt() if found.complete else part.discard())
            return not found.complete

    def expired(self, unfinished: Unfinished) -> bool:
        return unfinished.expires_at <= datetime.now(UTC)

    async def clean(self) -> None:
        """Removes what was never written to its end: parts without their description, and descriptions. OSError."""
        await self._run(self._clean)

    async def _finish(self, part: Part, found: Unfinished) -> None:
        if not found.complete:
            raise Refused("upload_offset_wrong", offset=found.offset)
        await part.finish()

    async def _take(self, part: Part, described: Described, chunks: AsyncIterable[bytes]) -> None:
        appending = asyncio.timeout(None)
        try:
            async with appending:
                self._appending[described.upload_id] = appending
                async for data in chunks:
                    if part.size + len(data) > described.length:
                        raise Refused("file_too_large", limit=described.length)
                    await part.write(data)
        except TimeoutError:
            if not appending.expired():
                raise
            raise Refused("upload_taken_over") from None
        finally:
            self._appending.pop(described.upload_id, None)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._storage.threads, work, *arguments)

    def _create(self, described: Described) -> Unfinished:
        if (found := self._find(described.upload_id)) is not None:
            return found
        part = self._part(described.upload_id)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            write_durably(self._description(described.upload_id), msgspec.json.encode(described), 0o600)
        except OSError:
            part.unlink()
            raise
        return Unfinished(described=described, offset=0, expires_at=self._expiry(time.time()))

    def _find(self, upload_id: UUID) -> Unfinished | None:
        try:
            described = msgspec.json.decode(self._description(upload_id).read_bytes(), type=Described)
            found = self._part(upload_id).stat()
        except FileNotFoundError:
            return None
        return Unfinished(described=described, offset=found.st_size, expires_at=self._expiry(found.st_mtime))

    def _all(self) -> list[Unfinished]:
        ids = [UUID(path.stem) for path in self._directory.glob("*.json") if not path.name.startswith(".")]
        found = [unfinished for upload_id in ids if (unfinished := self._find(upload_id)) is not None]
        return sorted(found, key=lambda unfinished: unfinished.described.created_at)

    def _open(self, upload_id: UUID) -> tuple[Part, Unfinished]:
        entry = self._part(upload_id)
        try:
            descriptor = os.open(entry, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Refused("upload_not_found", upload_id=upload_id) from None
        if not lock(descriptor):
            os.close(descriptor)
            raise Refused("upload_busy")
        found = self._find(upload_id)
        if found is None:  # ended since
            os.close(descriptor)
            raise Refused("upload_not_found", upload_id=upload_id)
        size, digest = self._digests.pop(upload_id, (-1, None))
        part = Part(self, self._storage, entry, descriptor, upload_id, digest if size == found.offset else None)
        part.size = found.offset
        if found.offset == 0:
            part.begin()
        return part, found

    def _clean(self) -> None:
        parts = (part for part in self._directory.glob("*.part") if not part.with_suffix(".json").exists())
        for path in (*parts, *unfinished_writes(self._directory), *unfinished_writes(self._storage.root)):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _YOUNGEST:
                    path.unlink()

    def remember(self, upload_id: UUID, size: int, digest: Any) -> None:
        """The hash so far, as long as this process lives."""
        while len(self._digests) >= _MOST_DIGESTS:
            self._digests.pop(next(iter(self._digests)))
        self._digests[upload_id] = (size, digest)

    def forget(self, upload_id: UUID) -> None:
        self._digests.pop(upload_id, None)
        self._description(upload_id).unlink(missing_ok=True)

    def _expiry(self, modified: float) -> datetime:
        return datetime.fromtimestamp(modified + self._kept, UTC)

    def _description(self, upload_id: UUID) -> Path:
        return self._directory / f"{upload_id}.json"

    def _part(self, upload_id: UUID) -> Path:
        return self._directory / f"{upload_id}.part"


class Part(Arrived):
    """What has arrived of a resumable upload, locked; it stays where it is until a fact names the file."""

    def __init__(
        self, uploads: Resumable, storage: Storage, entry: Path, descriptor: int, upload_id: UUID, digest: Any
    ) -> None:
        super().__init__(storage, entry, descriptor)
        self._uploads = uploads
        self._upload_id = upload_id
        self._running = digest

    def begin(self) -> None:
        self._running = hashlib.sha256()

    async def pause(self) -> None:
        """Everything is on disk, and the upload may be taken up by anybody. OSError."""
        try:
            await self._flush()
            await self._written()
            await self._run(os.fsync, self._descriptor)
        finally:
            await self._still()
            await self._run(self._leave)

    def _hash(self, block: list[bytes]) -> None:
        if self._running is not None:
            for data in block:
                self._running.update(data)

    def _hashed(self) -> str:
        if self._running is None:
            return hash_file(self._descriptor)[1]
        return str(self._running.hexdigest())

    def _enter(self, entry: Path) -> None:
        """Nothing: a sweep looks at the upload's own files."""

    def _end(self, remove: bool) -> None:
        if not remove:
            os.fchmod(self._descriptor, 0o444)  # as all that are finished
        self._uploads.forget(self._upload_id)
        self._beside = False  # no sweep knows this entry
        super()._end(remove)

    def _leave(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if self._running is not None and size == self.size:
            self._uploads.remember(self._upload_id, size, self._running)
        os.close(self._descriptor)
