"""Gives up nodes that are silent for too long, and with them their runs, de-identification jobs and deployments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client

from contracts.command import Command
from contracts.deid import ReportDeidentificationLost
from contracts.deployments import ReportDeploymentLost
from contracts.nodes import DeclareNodeLost, ServingHeartbeat
from contracts.problems import Refused
from contracts.runs import ReportRunLost
from events.event import Origin
from events.log import LogUnavailable
from events.log.streams import NODES
from services.projector.silence import Silence
from services.runtime.bucket import Bucket
from services.runtime.dispatch import Dispatch
from services.runtime.nodes.heartbeats import CLOCK, deid_node_of, node_of, serving_of

ACTOR = "service:nodes"
_LOOK = 5.0
_AGAIN = 60.0  # what was asked for as the node died may be in the tables only later

# What of a node has not ended.
Live = Callable[[str], Awaitable[Sequence[UUID]]]
LiveDeployments = Callable[[UUID, str], Awaitable[Sequence[UUID]]]

_log = logging.getLogger(__name__)


async def _no_deployments(_: UUID, __: str) -> Sequence[UUID]:
    return ()


class NodeWatch:
    """Any number of watches may be at work: what they report is on record once.

    Silence counts only while this watch saw the store take and hand out what is written to it, at every look: neither
    an outage of NATS nor this process's own sleep makes a node silent, and no clock of another machine is asked.
    A node trains, de-identifies and serves with services that may live apart, each with heartbeats of its own.
    `live_runs` and `live_jobs` give what it has not ended of either, `live_deployments` what a deployment service has
    not, and what its node was asked for and no service has placed. `patience` in seconds.
    """

    def __init__(
        self,
        nc: Client,
        dispatch: Dispatch,
        live_runs: Live,
        live_jobs: Live,
        patience: float,
        *,
        live_deployments: LiveDeployments = _no_deployments,
        look: float = _LOOK,
    ) -> None:
        self._bucket = Bucket(nc, NODES, self._changed)
        self._dispatch = dispatch
        self._live_runs = live_runs
        self._live_jobs = live_jobs
        self._live_deployments = live_deployments
        self._patience = patience
        self._look = min(look, patience / 4)
        self._silence = Silence()
        self._given_up: dict[str, float] = {}  # how long each had been silent when its work was looked for
        self._serving: dict[str, str] = {}  # the node of each deployment service

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
        elif (service := serving_of(key)) is not None:
            await self._give_up_deployments(service, self._serving[key], seconds)

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

    async def _give_up_deployments(self, service: UUID, node: str, seconds: float) -> None:
        lost = 0
        for deployment_id in await self._live_deployments(service, node):
            lost += await self._report(
                ReportDeploymentLost(deployment_id=deployment_id, service=service, node=node, silent_seconds=seconds)
            )
        if lost:
            _log.error("serving on node %s is silent for %.0f s: %d deployments are lost", node, seconds, lost)

    async def _report(self, command: Command) -> bool:
        """Whether that was new."""
        accepted = await self._dispatch(command, Origin(actor=ACTOR, command_id=uuid4()))
        return bool(accepted.recorded)

    def _changed(self, key: str, value: bytes | None) -> None:
        if serving_of(key) is not None:
            self._serving[key] = _node_in(value)
        elif node_of(key) is None and deid_node_of(key) is None:
            return
        self._silence.heard(key, gone=value is None)
        self._given_up.pop(key, None)


def _node_in(heartbeat: bytes | None) -> str:
    """Empty, which is nobody's name, where it cannot be read."""
    try:
        return msgspec.json.decode(heartbeat or b"", type=ServingHeartbeat).node
    except msgspec.DecodeError:  # of another release
        return ""
