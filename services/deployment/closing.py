"""The end of an attempt: nothing of it is left, and why it ended is on record."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from uuid import UUID, uuid4

from contracts.deployments import ReportDeploymentEnded, ReportDeploymentStopUnconfirmed
from events.deployments import AttemptEnd, Deployment, DeploymentStarted
from events.event import Event
from services.deployment import logs
from services.deployment.attempts import Attempt
from services.deployment.clearing import Pids, clear, end_of, memory_back, pids_of
from services.deployment.endings import Ending, explain, port_taken, says_port_taken
from services.deployment.node import Node
from services.deployment.ports import is_free
from services.runtime.children import host, wrapped
from services.runtime.children.processes import Identity, boot_id
from services.runtime.commands import DEPLOYMENTS
from services.runtime.dispatch import Loaded, load
from services.runtime.reporting import Reports

_log = logging.getLogger(__name__)
_STEADY = 300.0  # seconds of service after which earlier failures do not count


class Closing:
    """Of the attempts of one deployment. `changed` says that somebody asked something of it."""

    def __init__(self, node: Node, deployment_id: UUID, report: Reports, changed: asyncio.Event) -> None:
        self._node = node
        self._id = deployment_id
        self._report = report
        self._changed = changed

    async def stop(self, deployment: Deployment, attempt: Attempt) -> None:
        """TERM, and KILL only where it was asked for; returns once nothing is left and that is on record."""
        deadline = time.monotonic() + self._node.stop_seconds
        members = await asyncio.to_thread(_processes, attempt)
        stopping = asyncio.create_task(host.stop(attempt, math.inf))
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0 and deployment.force:
                    break
                if left <= 0 and (survivors := await pids_of(attempt)):
                    await self._report_survivors(attempt, survivors)
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait(
                    (stopping, changed), timeout=left if left > 0 else None, return_when=asyncio.FIRST_COMPLETED
                )
                changed.cancel()
                if stopping.done():
                    break
                if self._changed.is_set():
                    self._changed.clear()
                    deployment = (await load(self._node.log, DEPLOYMENTS, self._id)).state
                    if deployment.ended:  # it was given up as lost meanwhile
                        break
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
        await self._clear(attempt, 0.0)
        memory_free = await self._memory_back(deployment, members)
        ending = explain(await end_of(attempt))
        await self._node.release(self._id)  # who hears that it is gone finds its port and its GPU free
        await self.record(attempt, ending, memory_free=memory_free)

    async def finish(self, deployment: Deployment, attempt: Attempt, ending: Ending | None = None) -> None:
        """Ends what is left of the attempt, and reports why it ended: `ending`, or what the process itself left."""
        members = await asyncio.to_thread(_processes, attempt)
        await self._clear(attempt, self._node.stop_seconds)
        memory_free = await self._memory_back(deployment, members)
        own = explain(await end_of(attempt))
        if ending is None and await asyncio.to_thread(_machine_restarted, attempt):
            ending = Ending(cause="machine_restart", reason="主机已重新启动")
        if ending is None and deployment.status == "starting" and own.cause in ("exit", "signal"):
            assert deployment.placed is not None
            port = deployment.placed.port
            taken = not await asyncio.to_thread(is_free, self._node.host, port)
            said = await asyncio.to_thread(logs.last_lines, attempt.log, 50, since=deployment.log_start)
            if taken or says_port_taken(said):
                ending = port_taken(port, own.exit_code, seen=taken)
        await self.record(attempt, ending or own, memory_free=memory_free)

    async def _clear(self, attempt: Attempt, grace: float) -> None:
        await clear(attempt, grace, lambda survivors: self._report_survivors(attempt, survivors))

    async def _memory_back(self, deployment: Deployment, gone: set[Identity]) -> bool:
        uuid = deployment.placed.gpu_uuid if deployment.placed else None
        if uuid is None or not gone or await memory_back(self._node.devices, uuid, gone):
            return True
        _log.error("deployment %s: its processes are gone, and the driver does not show its GPU free of them", self._id)
        return False

    async def _report_survivors(self, attempt: Attempt, pids: Pids) -> None:
        # Whether it is new is for the decision to say, so no two of these are one command.
        unconfirmed = ReportDeploymentStopUnconfirmed(deployment_id=self._id, attempt=attempt.number, pids=pids)
        await self._report.under(unconfirmed, uuid4())

    async def record(self, attempt: Attempt, ending: Ending, *, memory_free: bool = True) -> None:
        """Of an attempt of which nothing is alive."""
        loaded = await load(self._node.log, DEPLOYMENTS, self._id)
        started = last_time(loaded, DeploymentStarted)
        steady = loaded.state.status == "running" and started is not None and time.time() - started > _STEADY
        cause: AttemptEnd | None = ending.cause
        ended = ReportDeploymentEnded(
            deployment_id=self._id,
            attempt=attempt.number,
            cause=cause,
            reason=ending.reason,
            exit_code=ending.exit_code,
            log_bytes=await asyncio.to_thread(logs.size, attempt.log),
            steady=steady,
            memory_free=memory_free,
            restarts=self._node.restarts,
        )
        await self._report(ended, f"{attempt.number}/ended")


def last_time(loaded: Loaded, kind: type[Event]) -> float | None:
    """When the last fact of a kind was decided, in Unix seconds."""
    found = [entry.meta.time.timestamp() for entry in loaded.recorded if isinstance(entry.fact, kind)]
    return found[-1] if found else None


def _processes(attempt: Attempt) -> set[Identity]:
    """Those of the attempt that are alive, and its command, which may have ended before them."""
    command = wrapped.command_identity(attempt)
    return host.members(attempt) | ({command} if command else set())


def _machine_restarted(attempt: Attempt) -> bool:
    """What ran before the machine was started anew did not end by itself, whatever it left behind."""
    identity = wrapped.command_identity(attempt) or wrapped.wrapper_identity(attempt)
    return identity is not None and identity.boot != boot_id()
