"""The files that a job makes, stored under names that derive from it: another attempt stores the same files."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import msgspec

from events.datasets import DatasetFile
from events.deid import DeidentificationRequested, DeidentifiedFile, SourceFile
from services.deid.workplace import Failed, Workplace
from services.runtime.deidentifying.asks import FileDone
from services.runtime.deidentifying.storage_reasons import storage_reason
from services.runtime.durable_files import write_durably
from services.runtime.storage import Arrived, stored_name

_RESULT = "result.json"


class Outputs:
    """Of one attempt at a job. One of these ends it: `settle` once facts name the files, `drop` where none will,
    `doubt` where nobody can say.
    """

    def __init__(self, place: Workplace, job_id: UUID, requested: DeidentificationRequested) -> None:
        self._storage, self._node = place.storage, place.node
        self._directory = place.directory(job_id)
        self._job_id, self._requested = job_id, requested
        self._arrived: list[Arrived] = []

    async def kept(self) -> tuple[DeidentifiedFile, ...] | None:
        """What an earlier attempt stored, all of it."""
        with suppress(FileNotFoundError):
            content = await asyncio.to_thread((self._directory / _RESULT).read_bytes)
            return msgspec.json.decode(content, type=tuple[DeidentifiedFile, ...])
        return None

    async def keep(self, files: tuple[DeidentifiedFile, ...]) -> None:
        await asyncio.to_thread(write_durably, self._directory / _RESULT, msgspec.json.encode(files), 0o600)

    async def begin(self) -> None:
        """Makes room, and removes what an earlier attempt did not finish."""

        def begin() -> None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._directory / self._node).touch()
            for part in self._directory.glob("*.part"):
                part.unlink()

        await asyncio.to_thread(begin)

    def target(self, number: int) -> Path:
        """Where the job's file of that number is to be written."""
        return self._directory / f"{number}.part"

    async def store(self, file: SourceFile, target: Path, done: FileDone) -> DeidentifiedFile:
        """Raises Failed."""
        if done.input_sha256 != file.sha256:
            en = "the file is not what its hash on record says"
            raise Failed("storage", "文件内容与登记的哈希不符", en, file.name)
        name = self._name(file)
        try:
            adopted = await asyncio.to_thread(self._storage.adopt, target)
            self._arrived.append(adopted)
            await adopted.place(self._requested.dataset_id, name)
        except OSError as error:
            raise Failed("storage", *storage_reason(error), file.name) from error
        if adopted.sha256 != done.output_sha256:
            en = "the file that was written is not what was computed"
            raise Failed("storage", "写出的文件与计算的哈希不符", en, file.name)
        return DeidentifiedFile(
            name=file.name,
            stored_name=name,
            bytes=adopted.size,
            records=done.records,
            input_sha256=done.input_sha256,
            output_sha256=done.output_sha256,
            counts=done.counts,
            quarantined=done.quarantined,
            quarantined_lines=done.quarantined_lines,
        )

    async def settle(self) -> None:
        while self._arrived:
            await self._arrived.pop().settle()

    async def drop(self, *, stored: bool) -> None:
        """`stored`: also what is in the store, that of an attempt that was killed included."""
        while self._arrived:
            await self._arrived.pop().discard()
        if stored:
            for file in self._requested.files:
                await asyncio.to_thread(self._storage.remove, self._name(file))

    async def doubt(self) -> None:
        """What the log knows of them is found out by the next attempt, or a sweep."""
        for file in self._arrived:
            with suppress(OSError):
                await file.doubt()

    async def tidy(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    def _name(self, file: SourceFile) -> str:
        return stored_name(uuid5(self._job_id, file.stored_name), file.name)


def dataset_files(files: tuple[DeidentifiedFile, ...]) -> tuple[DatasetFile, ...]:
    """As a version of the dataset names them."""
    now = datetime.now(UTC)
    return tuple(
        DatasetFile(
            upload_id=UUID(file.stored_name[:36]),
            name=file.name,
            stored_name=file.stored_name,
            bytes=file.bytes,
            sha256=file.output_sha256,
            uploaded_at=now,
        )
        for file in files
    )
