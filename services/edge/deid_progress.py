"""How far de-identification jobs have come, asked of whoever works on them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import nats.errors
from msgspec.structs import replace
from nats.aio.client import Client

from contracts import subjects
from contracts.deid import DeidJobView, JobProgress

_MOST = 50  # of a list: jobs wait for each other, so few are at work

_decode = msgspec.json.Decoder(JobProgress).decode


class DeidProgress:
    """`timeout` bounds the wait for an answer (seconds)."""

    def __init__(self, nc: Client, *, timeout: float = 1.0) -> None:
        self._nc = nc
        self._timeout = timeout

    async def of(self, job: DeidJobView) -> DeidJobView:
        """With the progress of now, where the job is at work and its service answers."""
        if job.status != "running":
            return job
        try:
            reply = await self._nc.request(subjects.deid_progress(job.id), b"", timeout=self._timeout)
        except nats.errors.Error:  # nobody works on it now, or no answer in time: it is not known
            return job
        return replace(job, progress=_decode(reply.data).share)

    async def of_all(self, jobs: Sequence[DeidJobView]) -> tuple[DeidJobView, ...]:
        first = await asyncio.gather(*map(self.of, jobs[:_MOST]))
        return (*first, *jobs[_MOST:])
