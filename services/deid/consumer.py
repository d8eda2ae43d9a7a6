"""Follows the facts of de-identification jobs and works on those whose files are here, one after the other."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from uuid import UUID

import msgspec

from events.deid import (
    DeidentificationCanceled,
    DeidentificationCancelRequested,
    DeidentificationCompleted,
    DeidentificationFailed,
    DeidentificationRequested,
    DeidFact,
)
from events.event import Recorded
from events.log import LogUnavailable
from services.deid.job import Job, Workplace
from services.runtime.durable_files import write_durably
from services.runtime.heartbeats import Heartbeats

_TERMINAL = (DeidentificationCompleted, DeidentificationFailed, DeidentificationCanceled)
_LONGEST_PAUSE = 60.0

_log = logging.getLogger(__name__)


class Checkpoint(msgspec.Struct, frozen=True):
    """Facts up to `position` were seen; of those, the jobs in `live` are not over, in the order of their requests."""

    position: int = 0
    live: tuple[UUID, ...] = ()


def read_checkpoint(file: Path) -> Checkpoint:
    """A missing or unreadable one costs time only: every fact is then seen again, and nothing is done twice."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return Checkpoint()
    except msgspec.DecodeError:
        _log.warning("the checkpoint %s cannot be read: starting from the first fact", file)
        return Checkpoint()


class Consumer:
    """What `run` was at when it is cancelled is begun anew at the next start, and comes out the same."""

    def __init__(self, place: Workplace, checkpoint: Path) -> None:
        self._place = place
        self._file = checkpoint
        self._position = 0
        self._jobs: dict[UUID, Job] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        checkpoint = await asyncio.to_thread(read_checkpoint, self._file)
        if checkpoint.position > await self._place.log.last_position():
            _log.warning("the log is shorter than the checkpoint %s: starting from the first fact", self._file)
            checkpoint = Checkpoint()
        self._position = checkpoint.position
        await asyncio.to_thread(self._place.clear, frozenset(checkpoint.live))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stay_heard_of())
            group.create_task(self._keep_checkpoint())
            for job_id in checkpoint.live:
                self._begin(job_id, group)
            async for batch in self._place.log.follow(self._position, (DeidFact.context,)):
                self._on_batch(batch, group)
                self._position = batch[-1].meta.position
                self._changed.set()

    def _on_batch(self, batch: list[Recorded], group: asyncio.TaskGroup) -> None:
        over = {entry.meta.aggregate_id for entry in batch if isinstance(entry.fact, _TERMINAL)}
        for entry in batch:
            job_id = entry.meta.aggregate_id
            match entry.fact:
                case DeidentificationRequested() if job_id not in over:
                    self._begin(job_id, group)
                case DeidentificationCancelRequested() | DeidentificationCanceled() | DeidentificationFailed() if (
                    job := self._jobs.get(job_id)
                ):
                    job.cancel()

    def _begin(self, job_id: UUID, group: asyncio.TaskGroup) -> None:
        if job_id not in self._jobs:
            job = self._jobs[job_id] = Job(self._place, job_id)
            group.create_task(self._persist(job_id, job), name=f"de-identification {job_id}")

    async def _persist(self, job_id: UUID, job: Job) -> None:
        pause = 1.0
        while True:
            try:
                if await job():
                    break
            except Exception:  # noqa: BLE001 - a job must not stay without anybody, whatever befell this attempt
                _log.exception("work on job %s failed; it begins again in %.0f s", job_id, pause)
            await job.canceled_within(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        del self._jobs[job_id]
        self._changed.set()

    async def _stay_heard_of(self) -> None:
        """One heartbeat after the other: a node that is silent for too long loses its jobs."""
        heartbeats = Heartbeats(self._place.nc)
        while True:
            try:
                await heartbeats.put_deid(self._place.node)
            except LogUnavailable as error:
                _log.warning("no heartbeat of de-identification on node %s: %s", self._place.node, error)
            await asyncio.sleep(self._place.heartbeat)

    async def _keep_checkpoint(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            content = msgspec.json.encode(Checkpoint(self._position, tuple(self._jobs)))
            await asyncio.to_thread(write_durably, self._file, content)
