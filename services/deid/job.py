"""One de-identification of a dataset, from its request to its end on record; killed anywhere, it comes out the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import nats.errors
from nats.aio.msg import Msg

from contracts import subjects
from contracts.command import Command
from contracts.datasets import DeriveDatasetVersion
from contracts.deid import (
    AssignDeidentification,
    JobProgress,
    ReportDeidentificationCanceled,
    ReportDeidentified,
    format_of,
)
from contracts.problems import Refused
from events.datasets import Dataset
from events.deid import DeidentificationRequested, DeidentifiedFile, DeidJob, SourceFile
from events.log import LogUnavailable
from services.deid.outputs import Outputs, dataset_files
from services.deid.reports import Reports
from services.deid.requirements import removed, require_read, require_replaced
from services.deid.workplace import Failed, Workplace
from services.runtime.commands import DATASETS, DEID
from services.runtime.deidentifying.asking import EngineFailed
from services.runtime.deidentifying.asks import DeidentifyFile, FileDone, FileFailed, FileProgress, PolicyToUse
from services.runtime.deidentifying.policies import checked_policy
from services.runtime.dispatch import load
from services.runtime.nodes.heartbeats import Heartbeats
from services.runtime.settings import SettingRefused

_ATTEMPTS = 3  # at a file with which the engine's process dies, and at a job that fails as nobody foresaw
_PASSING = (LogUnavailable, OSError, nats.errors.Error, SettingRefused)
"""What the world around a job does, until it does not."""

_log = logging.getLogger(__name__)


class Canceled(Exception):
    """Whoever worked on a file was killed."""


class GivenUp(Exception):
    """The job's end is on record meanwhile."""


class Job:
    def __init__(self, place: Workplace, job_id: UUID) -> None:
        self._place = place
        self._id = job_id
        self._canceled = asyncio.Event()
        self._done = 0
        self._unforeseen = 0

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
            outputs = Outputs(self._place, self._id, requested)
            if not job.ended:
                if job.cancel_requested:
                    self._canceled.set()
                async with self._answering(requested):
                    await self._work(requested, outputs, report)
            await outputs.tidy()
            return True

    async def _is_here(self, requested: DeidentificationRequested) -> bool:
        """Also where a file was removed since: whoever has the others says so, or anybody where there are none.

        What no storage of another service can have is lost, and the job fails.
        """
        paths = [self._place.storage.path(file.stored_name) for file in requested.files]
        if any(await asyncio.to_thread(lambda: [path.exists() for path in paths])):
            return True
        if len(await self._removed(requested)) == len(requested.files):
            return True
        others = await Heartbeats(self._place.nc).deid_nodes() - {self._place.node}
        if others:
            said = "job %s waits: none of its files is in this storage, maybe in that of %s"
            _log.warning(said, self._id, ", ".join(sorted(others)))
        return not others

    async def _removed(self, requested: DeidentificationRequested) -> list[SourceFile]:
        """Those that are the dataset's no longer, wherever they lay."""
        dataset = await self._dataset(requested)
        known = dataset.stored_names if dataset.exists else ()
        return [file for file in requested.files if file.stored_name not in known]

    async def _dataset(self, requested: DeidentificationRequested) -> Dataset:
        dataset: Dataset = (await load(self._place.log, DATASETS, requested.dataset_id)).state
        return dataset

    async def _derived(self, requested: DeidentificationRequested) -> bool:
        return any(version.job_id == self._id for version in (await self._dataset(requested)).versions)

    async def _work(self, requested: DeidentificationRequested, outputs: Outputs, report: Reports) -> None:
        """Until its end is on record; without a version of the dataset nothing of the outputs stays."""
        end: Command | None
        try:
            try:
                files = await self._files(requested, outputs)
                number = await self._version(requested, files, report)
            except Failed as failed:
                end = (await self._failed_for(failed, requested)).told(self._id)
            except Canceled:
                end = ReportDeidentificationCanceled(job_id=self._id)
            except GivenUp:
                end = None
            except _PASSING:
                raise
            except Exception:
                self._unforeseen += 1
                if self._unforeseen < _ATTEMPTS:
                    raise
                _log.exception("job %s failed", self._id)
                en = "de-identification failed again and again; the log of its service says where"
                end = Failed("internal", "去标识化多次异常，详见去标识化服务的日志", en).told(self._id)
            else:
                await outputs.settle()
                await report(ReportDeidentified(job_id=self._id, output_version=number, files=files))
                return
            await outputs.drop(stored=not await self._derived(requested))
            if end is not None:
                await report(end)
        except BaseException:
            await outputs.doubt()
            raise

    async def _failed_for(self, failed: Failed, requested: DeidentificationRequested) -> Failed:
        """Where the store has no such file, that it was removed meanwhile is why."""
        gone = await self._removed(requested) if failed.cause == "storage" else ()
        return next((removed(file) for file in gone if file.name == failed.file), failed)

    async def _files(self, requested: DeidentificationRequested, outputs: Outputs) -> tuple[DeidentifiedFile, ...]:
        """What became of each file, all of them stored. Raises Failed and Canceled."""
        kept = await outputs.kept()
        if kept is not None and await self._derived(requested):
            return kept  # nothing but its end was left to record
        if self._canceled.is_set():
            raise Canceled
        for file in await self._removed(requested):
            raise removed(file)
        use = await asyncio.to_thread(self._to_use, requested)
        await outputs.begin()
        found: list[DeidentifiedFile] = []
        for number, file in enumerate(requested.files):
            before, target = self._done, outputs.target(number)
            done = await self._unless_canceled(self._asked(self._ask(file, target, requested, use), file))
            self._done = before + file.bytes
            require_read(done, file)
            found.append(await outputs.store(file, target, done))
        require_replaced(found, requested, use.policy)
        await outputs.keep(tuple(found))
        return tuple(found)

    async def _version(
        self, requested: DeidentificationRequested, files: tuple[DeidentifiedFile, ...], report: Reports
    ) -> int:
        """The number of the dataset's version that these files are from now on. Raises Failed and GivenUp."""
        if (await load(self._place.log, DEID, self._id)).state.ended:
            raise GivenUp
        derive = DeriveDatasetVersion(
            dataset_id=requested.dataset_id,
            source_version=requested.dataset_version,
            files=dataset_files(files),
            job_id=self._id,
            policy_id=requested.policy_id,
            policy_version=requested.policy_version,
        )
        try:
            dataset: Dataset = (await report(derive)).state
        except Refused as refused:  # it was deleted meanwhile, or a file taken back
            raise Failed("dataset", refused.text("zh"), refused.text("en"), refused.values.get("name")) from refused
        return next(version.number for version in dataset.versions if version.job_id == self._id)

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

    async def _unless_canceled(self, work: Coroutine[Any, Any, FileDone]) -> FileDone:
        task = asyncio.create_task(work)
        waiting = asyncio.create_task(self._canceled.wait())
        try:
            await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Canceled
            return await task
        finally:
            for one in (task, waiting):
                one.cancel()
            await asyncio.gather(task, waiting, return_exceptions=True)

    @asynccontextmanager
    async def _answering(self, requested: DeidentificationRequested) -> AsyncGenerator[None, None]:
        """Tells whoever asks how far it is, until its end is on record."""
        self._done, total = 0, sum(file.bytes for file in requested.files)

        async def answer(message: Msg) -> None:
            progress = JobProgress(bytes_done=self._done, bytes_total=total)
            await self._place.nc.publish(message.reply, msgspec.json.encode(progress))

        subscription = await self._place.nc.subscribe(subjects.deid_progress(self._id), cb=answer)
        try:
            yield
        finally:
            if self._place.nc.is_connected:
                await subscription.unsubscribe()
