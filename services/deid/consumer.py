"""Follows the facts of de-identification jobs and works on those whose files are here, one after the other."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from uuid import UUID

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
from services.deid.job import Job
from services.deid.workplace import Workplace
from services.runtime.checkpoints import Checkpoint, Checkpoints
from services.runtime.nodes.heartbeats import Heartbeats

_TERMINAL = (DeidentificationCompleted, DeidentificationFailed, DeidentificationCanceled)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds

_log = logging.getLogger(__name__)


class Consumer:
    """What `run` was at when it is cancelled is begun anew at the next start, and comes out the same."""

    def __init__(self, place: Workplace, checkpoint: Path) -> None:
        self._place = place
        self._checkpoints = Checkpoints(checkpoint, Checkpoint)
        self._position = 0
        self._jobs: dict[UUID, Job] = {}

    async def run(self) -> None:
        checkpoint = await self._checkpoints.last(self._place.log)
        self._position = checkpoint.position
        await asyncio.to_thread(self._place.clear, frozenset(checkpoint.live))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stay_heard_of(), name="heartbeats")
            group.create_task(
                self._checkpoints.keep(lambda: Checkpoint(self._position, tuple(self._jobs))), name="checkpoints"
            )
            for job_id in checkpoint.live:
                self._begin(job_id, group)
            async for batch in self._place.log.follow(self._position, (DeidFact.context,)):
                self._on_batch(batch, group)
                self._position = batch[-1].meta.position
                self._checkpoints.changed()

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
        pause = _FIRST_PAUSE
        while True:
            try:
                if await job():
                    break
            except Exception:  # noqa: BLE001 - a job must not stay without anybody, whatever befell this attempt
                _log.exception("work on job %s failed; it begins again in %.0f s", job_id, pause)
            await job.canceled_within(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        del self._jobs[job_id]
        self._checkpoints.changed()

    async def _stay_heard_of(self) -> None:
        """One heartbeat after the other: a node that is silent for too long loses its jobs."""
        heartbeats = Heartbeats(self._place.nc)
        while True:
            try:
                await heartbeats.put_deid(self._place.node)
            except LogUnavailable as error:
                _log.warning("no heartbeat of de-identification on node %s: %s", self._place.node, error)
            await asyncio.sleep(self._place.heartbeat)
