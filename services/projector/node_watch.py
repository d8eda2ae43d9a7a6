"""Gives up nodes that are silent for too long, and with them their runs and de-identification jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

from nats.aio.client import Client

from contracts.command import Command
from contracts.deid import ReportDeidentificationLost
from contracts.nodes import DeclareNodeLost
from contracts.problems import Refused
from contracts.runs import ReportRunLost
from events.event import Origin
from events.log import LogUnavailable
from events.log.streams import NODES
from services.projector.silence import Silence
from services.runtime.bucket import Bucket
from services.runtime.dispatch import Dispatch
from services.runtime.heartbeats import CLOCK, deid_node_of, node_of

ACTOR = "service:nodes"
_LOOK = 5.0
_AGAIN = 60.0  # what was asked for as the node died may be in the tables only later

# What of a node has not ended.
Live = Callable[[str], Awaitable[Sequence[UUID]]]

_log = logging.getLogger(__name__)


class NodeWatch:
    """Any number of watches may be at work: what they report is on record once.

    Silence counts only while this watch saw the store take and hand out what is written to it, at every look: neither
    an outage of NATS nor this process's own sleep makes a node silent, and no clock of another machine is asked.
    A node trains and de-identifies with services that may live apart, each with heartbeats of its own. `live_runs` and
    `live_jobs` give what it has not ended of either. `patience` in seconds.
    """

    def __init__(
        self,
        nc: Client,
        dispatch: Dispatch,
        live_runs: Live,
        live_jobs: Live,
        patience: float,
        *,
        look: float = _LOOK,
    ) -> None:
        self._bucket = Bucket(nc, NODES, self._changed)
        self._dispatch = dispatch
        self._live_runs = live_runs
        self._live_jobs = live_jobs
        self._patience = patience
        self._look = min(look, patience / 4)
        self._silence = Silence()
        self._given_up: dict[str, float] = {}  # how long each had been silent when its work was looked for

    async def run(self) -> None:
        """Until cancelled. Raises LogUnavailable where there is nothing to watch."""
        try:
            await self._bucket.start()
            while True:
                await asyncio.sleep(self._look)
                await self._take_a_look()
        finally:
            await self._bucket.stop()

    async def _take_a_look(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            await self._bucket.put(CLOCK, b"")
            await self._bucket.catch_up()
        except LogUnavailable as error:
            _log.warning("the heartbeats of nodes cannot be seen: %s", error)
            self._silence.interrupt()
            return
        self._silence.look(clock(), longest=3 * self._look)
        for key, seconds in self._silence.longer_than(self._patience):
            if key in self._given_up and 0 <= seconds - self._given_up[key] < min(_AGAIN, self._patience):
                continue
            try:
                await self._give_up(key, seconds)
                self._given_up[key] = seconds
            except (LogUnavailable, Refused) as error:  # the next look does it
                _log.warning("%s is silent for %.0f s, which cannot be recorded now: %s", key, seconds, error)

    async def _give_up(self, key: str, seconds: float) -> None:
        if (node := node_of(key)) is not None:
            await self._give_up_node(node, seconds)
        elif (node := deid_node_of(key)) is not None:
            await self._give_up_jobs(node, seconds)

    async def _give_up_node(self, node: str, seconds: float) -> None:
        lost = await self._report(DeclareNodeLost(name=node, silent_seconds=seconds))
        runs = await self._live_runs(node)
        for run_id in runs:
            await self._report(ReportRunLost(run_id=run_id, node=node, silent_seconds=seconds))
        if lost or runs:
            _log.error("node %s is silent for %.0f s: it is lost, and so are %d runs", node, seconds, len(runs))

    async def _give_up_jobs(self, node: str, seconds: float) -> None:
        jobs = await self._live_jobs(node)
        for job_id in jobs:
            await self._report(ReportDeidentificationLost(job_id=job_id, node=node, silent_seconds=seconds))
        if jobs:
            _log.error("de-identification on node %s is silent for %.0f s: %d jobs are lost", node, seconds, len(jobs))

    async def _report(self, command: Command) -> bool:
        """Whether that was new."""
        accepted = await self._dispatch(command, Origin(actor=ACTOR, command_id=uuid4()))
        return bool(accepted.recorded)

    def _changed(self, key: str, value: bytes | None) -> None:
        if node_of(key) is not None or deid_node_of(key) is not None:
            self._silence.heard(key, gone=value is None)
            self._given_up.pop(key, None)
