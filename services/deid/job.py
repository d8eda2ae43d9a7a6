"""One de-identification of a dataset, from its request to its end on record; killed anywhere, it comes out the same."""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.datasets import DeriveDatasetVersion
from contracts.deid import (
    AssignDeidentification,
    JobProgress,
    ReportDeidentificationCanceled,
    ReportDeidentificationFailed,
    ReportDeidentified,
    format_of,
)
from contracts.problems import Refused
from events.datasets import Dataset, DatasetFile
from events.deid import DeidentificationRequested, DeidentifiedFile, DeidJob, JobFailure, SourceFile
from events.log import EventLog
from services.deid.reports import Reports
from services.runtime.commands import DATASETS, DEID
from services.runtime.deid_asks import DeidentifyFile, FileDone, FileFailed, FileProgress, PolicyToUse
from services.runtime.deid_policies import checked_policy
from services.runtime.deid_secret import DeidSecret
from services.runtime.deidentifying import Deidentifying, EngineFailed
from services.runtime.dispatch import Dispatch, load
from services.runtime.durable_files import write_durably
from services.runtime.storage import Arrived, Storage, stored_name

_ATTEMPTS = 3  # at a file with which the engine's process dies
_RESULT = "result.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)


class Failed(Exception):
    """Why a job cannot be done; nothing of the data stands in it."""

    def __init__(self, cause: JobFailure, zh: str, en: str, file: str | None = None, line: int | None = None) -> None:
        super().__init__(en)
        self._cause, self._zh, self._en, self._file, self._line = cause, zh, en, file, line

    def told(self, job_id: UUID) -> ReportDeidentificationFailed:
        return ReportDeidentificationFailed(
            job_id=job_id, cause=self._cause, reason=self._zh, reason_en=self._en, file=self._file, line=self._line
        )


class Workplace(msgspec.Struct, frozen=True, kw_only=True):
    """What jobs of this service share. `free` is held by the one at work; `processes` work on its files.

    `heartbeat`: seconds between two of them.
    """

    node: str
    nc: Client
    log: EventLog
    dispatch: Dispatch
    storage: Storage
    engine: Deidentifying
    secret: DeidSecret
    processes: int
    heartbeat: float = 5.0
    free: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    def directory(self, job_id: UUID) -> Path:
        """Where unfinished outputs of a job lie, on the device of the storage."""
        return self.storage.root / "deid" / str(job_id)

    def clear(self, live: frozenset[UUID]) -> None:
        """Removes what ended jobs left, as the service may be killed between their end and that. Synchronous."""
        for entry in self.storage.root.glob("deid/*"):
            if entry.name not in map(str, live) and (entry / self.node).exists():
                shutil.rmtree(entry, ignore_errors=True)


class Job:
    def __init__(self, place: Workplace, job_id: UUID) -> None:
        self._place = place
        self._id = job_id
        self._directory = place.directory(job_id)
        self._canceled = asyncio.Event()
        self._done = 0
        self._total = 0

    def cancel(self) -> None:
        """That it is to be canceled is on record, or its end: nothing of its work may stay."""
        self._canceled.set()

    async def canceled_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._canceled.wait()

    async def __call__(self) -> bool:
        """Whether there is nothing left to do: its end is on record, or it is another node's."""
        async with self._place.free:
            loaded = await load(self._place.log, DEID, self._id)
            job: DeidJob = loaded.state
            requested = job.requested
            if requested is None:
                return True
            report = Reports(self._place.dispatch, self._id, loaded.recorded[0])
            if job.status == "pending":
                if not await self._is_here(requested):
                    return False  # another service's, with another storage; asked again by and by
                assign = AssignDeidentification(job_id=self._id, node=self._place.node)
                job = (await report.under(assign, uuid4())).state
            if job.node != self._place.node and not job.ended:
                return True
            if not job.ended:
                if job.cancel_requested:
                    self._canceled.set()
                await self._work(requested, report)
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
            return True

    async def _is_here(self, requested: DeidentificationRequested) -> bool:
        """Also where a file was removed since: whoever has the others says so, or anybody where there are none."""
        paths = [self._place.storage.path(file.stored_name) for file in requested.files]
        if any(await asyncio.to_thread(lambda: [path.exists() for path in paths])):
            return True
        return len(await self._removed(requested)) == len(requested.files)

    async def _removed(self, requested: DeidentificationRequested) -> list[SourceFile]:
        """Those that are the dataset's no longer, wherever they lay."""
        dataset: Dataset = (await load(self._place.log, DATASETS, requested.dataset_id)).state
        known = dataset.stored_names if dataset.exists else ()
        return [file for file in requested.files if file.stored_name not in known]

    async def _work(self, requested: DeidentificationRequested, report: Reports) -> None:
        arrived: list[Arrived] = []
        try:
            try:
                result = await self._result(requested, arrived)
            except Failed as failed:
                await self._drop(requested, arrived)
                await report(failed.told(self._id))
                return
            if result is None:
                await self._drop(requested, arrived)
                await report(ReportDeidentificationCanceled(job_id=self._id))
                return
            await self._derive(requested, result, arrived, report)
        except BaseException:
            for file in arrived:  # what the log knows of them is found out by the next attempt, or a sweep
                with suppress(OSError):
                    await file.doubt()
            raise

    async def _derive(
        self,
        requested: DeidentificationRequested,
        result: tuple[DeidentifiedFile, ...],
        arrived: list[Arrived],
        report: Reports,
    ) -> None:
        if (await load(self._place.log, DEID, self._id)).state.ended:  # it was given up meanwhile
            await self._drop(requested, arrived)
            return
        now = datetime.now(UTC)
        derive = DeriveDatasetVersion(
            dataset_id=requested.dataset_id,
            source_version=requested.dataset_version,
            files=tuple(_dataset_file(file, now) for file in result),
            job_id=self._id,
            policy_id=requested.policy_id,
            policy_version=requested.policy_version,
        )
        try:
            dataset: Dataset = (await report(derive)).state
        except Refused as refused:  # it was deleted meanwhile
            await self._drop(requested, arrived)
            await report(Failed("dataset", refused.text("zh"), refused.text("en")).told(self._id))
            return
        while arrived:
            await arrived.pop().settle()
        number = next(version.number for version in dataset.versions if version.job_id == self._id)
        await report(ReportDeidentified(job_id=self._id, output_version=number, files=result))

    async def _result(
        self, requested: DeidentificationRequested, arrived: list[Arrived]
    ) -> tuple[DeidentifiedFile, ...] | None:
        """What became of each file, all of them stored; none where it was canceled before. Raises Failed."""
        kept = await asyncio.to_thread(self._kept)
        if kept is not None and await self._derived(requested):
            return kept  # nothing but its end was left to record
        if self._canceled.is_set():
            return None
        for file in await self._removed(requested):
            raise Failed("dataset", "数据集或其文件已删除", "the dataset or its file was removed", file.name)
        use = await asyncio.to_thread(self._to_use, requested)
        self._total = sum(file.bytes for file in requested.files)
        self._done = 0
        await asyncio.to_thread(self._prepare)
        found: list[DeidentifiedFile] = []
        async with self._answering():
            for number, file in enumerate(requested.files):
                before = self._done
                target = self._directory / f"{number}.part"
                done = await self._unless_canceled(self._asked(self._ask(file, target, requested, use), file))
                if done is None:
                    return None
                self._done = before + file.bytes
                found.append(await self._store(file, target, done, requested, arrived))
        result = tuple(found)
        await asyncio.to_thread(write_durably, self._directory / _RESULT, msgspec.json.encode(result), 0o600)
        return result

    async def _unless_canceled(self, work: Coroutine[Any, Any, FileDone]) -> FileDone | None:
        """None where the job is canceled meanwhile; then whoever works on the file was killed."""
        task = asyncio.create_task(work)
        waiting = asyncio.create_task(self._canceled.wait())
        try:
            await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
            return await task if task.done() else None
        finally:
            for one in (task, waiting):
                one.cancel()
            await asyncio.gather(task, waiting, return_exceptions=True)

    def _ask(
        self, file: SourceFile, target: Path, requested: DeidentificationRequested, use: PolicyToUse
    ) -> DeidentifyFile:
        format_ = format_of(file.name)
        assert format_ is not None
        return DeidentifyFile(
            policy=use,
            source=str(self._place.storage.path(file.stored_name)),
            target=str(target),
            fields=requested.fields,
            format=format_,
            processes=self._place.processes,
        )

    async def _store(
        self,
        file: SourceFile,
        target: Path,
        done: FileDone,
        requested: DeidentificationRequested,
        arrived: list[Arrived],
    ) -> DeidentifiedFile:
        """Under a name that derives from the job, so that another attempt stores the same file."""
        storage = self._place.storage
        if done.input_sha256 != file.sha256:
            en = "the file is not what its hash on record says"
            raise Failed("storage", "文件内容与登记的哈希不符", en, file.name)
        name = self._output_name(file)
        try:
            adopted = await asyncio.to_thread(storage.adopt, target)
            arrived.append(adopted)
            await adopted.place(requested.dataset_id, name)
        except OSError as error:
            raise _storage_failed(error, file) from error
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
        )

    async def _asked(self, ask: DeidentifyFile, file: SourceFile) -> FileDone:
        base = self._done
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with aclosing(self._place.engine.answers(ask)) as answers:
                    async for answer in answers:
                        match answer:
                            case FileProgress():
                                self._done = base + answer.bytes
                            case FileDone():
                                return answer
                            case FileFailed():
                                raise Failed(answer.cause, answer.zh, answer.en, file.name, answer.line)
            except EngineFailed as error:
                _log.warning("attempt %d at a file of job %s: %s", attempt, self._id, error)
        raise Failed("internal", "去标识化引擎多次异常终止", "the engine failed again and again", file.name)

    def _to_use(self, requested: DeidentificationRequested) -> PolicyToUse:
        try:
            seed = self._place.secret.open(requested.sealed_seed)
        except ValueError:
            en = "the key of this machine is not that of the request"
            raise Failed("key", "本机的去标识化密钥与请求时不同", en) from None
        try:
            policy = checked_policy(requested.policy)
        except Refused as refused:  # of a release that knew more, or less
            raise Failed("policy", refused.text("zh"), refused.text("en")) from None
        return PolicyToUse(policy=policy, secret=self._place.secret.read(), seed=seed)

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._directory / self._place.node).touch()
        for part in self._directory.glob("*.part"):
            part.unlink()

    def _kept(self) -> tuple[DeidentifiedFile, ...] | None:
        try:
            return msgspec.json.decode((self._directory / _RESULT).read_bytes(), type=tuple[DeidentifiedFile, ...])
        except FileNotFoundError:
            return None

    async def _derived(self, requested: DeidentificationRequested) -> bool:
        dataset: Dataset = (await load(self._place.log, DATASETS, requested.dataset_id)).state
        return any(version.job_id == self._id for version in dataset.versions)

    async def _drop(self, requested: DeidentificationRequested, arrived: list[Arrived]) -> None:
        """Nothing of the outputs stays, those of an attempt that was killed included."""
        while arrived:
            await arrived.pop().discard()
        if not await self._derived(requested):
            for file in requested.files:
                await asyncio.to_thread(self._place.storage.remove, self._output_name(file))

    def _output_name(self, file: SourceFile) -> str:
        return stored_name(uuid5(self._id, file.stored_name), file.name)

    @asynccontextmanager
    async def _answering(self) -> AsyncGenerator[None, None]:
        """Tells whoever asks how far it is."""

        async def answer(message: Msg) -> None:
            progress = JobProgress(bytes_done=self._done, bytes_total=self._total)
            await self._place.nc.publish(message.reply, msgspec.json.encode(progress))

        subscription = await self._place.nc.subscribe(subjects.deid_progress(self._id), cb=answer)
        try:
            yield
        finally:
            if self._place.nc.is_connected:
                await subscription.unsubscribe()


def _dataset_file(file: DeidentifiedFile, now: datetime) -> DatasetFile:
    return DatasetFile(
        upload_id=UUID(file.stored_name[:36]),
        name=file.name,
        stored_name=file.stored_name,
        bytes=file.bytes,
        sha256=file.output_sha256,
        uploaded_at=now,
    )


def _storage_failed(error: OSError, file: SourceFile) -> Failed:
    if error.errno in _FULL:
        return Failed("storage", "存储空间不足", "the storage is full", file.name)
    return Failed("storage", f"存储无法写入：{error.strerror}", f"the storage fails: {error.strerror}", file.name)
