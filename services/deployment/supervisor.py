"""One deployment from its request to its end; may be killed anywhere and begun again, also by another process."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Literal
from uuid import UUID, uuid4

from contracts.deployments import (
    PlaceDeployment,
    ReportDeploymentEnded,
    ReportDeploymentLaunched,
    ReportDeploymentStarted,
    ReportDeploymentStopped,
    ReportDeploymentStopUnconfirmed,
    ReportDeploymentUnplaced,
)
from contracts.problems import Refused
from events.deployments import (
    AttemptEnd,
    Deployment,
    DeploymentAttemptEnded,
    DeploymentLaunched,
    DeploymentStarted,
)
from events.event import Event
from services.deployment import logs
from services.deployment.attempts import Attempt
from services.deployment.clearing import clear, end_of, memory_back, pids_of
from services.deployment.endings import Ending, explain, port_taken, says_port_taken
from services.deployment.launching import begun, launch
from services.deployment.node import ACTOR, Node
from services.deployment.ports import is_free
from services.deployment.watching import watching
from services.handlers.deployments import fill_command, split_extra_args, wish_of
from services.runtime.children import NeverStarted, host, wrapped
from services.runtime.children.processes import Identity, boot_id
from services.runtime.commands import DEPLOYMENTS
from services.runtime.dispatch import Loaded, load
from services.runtime.reporting import Reports

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between probes of one that starts
_PAUSE = 5.0  # between probes of one that runs
_STEADY = 300.0  # seconds of service after which earlier failures do not count

_NO_ROOM: dict[str, Literal["no_port", "no_gpu"]] = {"no_free_port": "no_port", "no_gpu": "no_gpu"}

_Verdict = Ending | Literal["gone", "changed"]


class Supervisor:
    """Supervises one deployment of this node. `changed` says that somebody asked something of it."""

    def __init__(self, node: Node, deployment_id: UUID) -> None:
        self._node = node
        self._id = deployment_id
        self.changed = asyncio.Event()

    async def __call__(self) -> None:
        """Returns once the deployment has ended, or where it is not this node's."""
        while True:
            self.changed.clear()
            loaded = await load(self._node.log, DEPLOYMENTS, self._id)
            deployment: Deployment = loaded.state
            if not self._is_ours(deployment):
                return
            report = Reports(self._node.dispatch, self._id, loaded.recorded[0], ACTOR)
            if deployment.ended:
                await self._leave(deployment)
                return
            if not deployment.between_attempts:
                await self._attempt(loaded, report)
            elif deployment.stop_requested:
                await self._node.release(self._id)
                await report(ReportDeploymentStopped(deployment_id=self._id), "stopped")
            else:
                await self._begin(loaded, report)

    def _is_ours(self, deployment: Deployment) -> bool:
        if deployment.requested is None:
            return False
        if deployment.service is None:
            return deployment.requested.node == self._node.name
        return deployment.service == self._node.service

    async def _leave(self, deployment: Deployment) -> None:
        """Nothing stays of what has ended: neither processes nor a lease."""
        await self._clear_last(deployment)
        await self._node.release(self._id)

    async def _clear_last(self, deployment: Deployment) -> None:
        """Of an attempt that was given up as lost something may be alive."""
        if deployment.attempt:
            attempt = self._node.attempt(self._id, deployment.attempt)
            await asyncio.to_thread(host.prevent, attempt)
            await clear(attempt, self._node.stop_seconds)

    async def _begin(self, loaded: Loaded, report: Reports) -> None:
        """Places the next attempt once its time has come."""
        deployment: Deployment = loaded.state
        assert deployment.requested is not None
        ended = _last(loaded, DeploymentAttemptEnded)
        if ended is not None and deployment.retry_after:
            left = ended + deployment.retry_after - time.time()
            if left > 0 and await _is_set(self.changed, left):
                return
        await self._clear_last(deployment)
        number = deployment.attempt + 1
        try:
            lease = await self._node.lease(self._id, wish_of(deployment.requested))
        except Refused as refused:
            if refused.code not in _NO_ROOM:
                raise
            cause = _NO_ROOM[refused.code]
            unplaced = ReportDeploymentUnplaced(deployment_id=self._id, cause=cause, reason=refused.text("zh"))
            await report(unplaced, f"{number}/unplaced")
            return
        assert lease.port is not None
        gpu = lease.gpus[0] if lease.gpus else None
        argv = fill_command(
            self._node.template,
            model_path=deployment.requested.model_path,
            host=self._node.host,
            port=lease.port,
            gpu_id=gpu.index if gpu else None,
            extra_args=split_extra_args(deployment.requested.extra_args),
        )
        place = PlaceDeployment(
            deployment_id=self._id,
            attempt=number,
            service=self._node.service,
            port=lease.port,
            argv=argv,
            log_file=self._node.log_file(self._id),
            gpu_id=gpu.index if gpu else None,
            gpu_uuid=gpu.uuid if gpu else None,
            preference=lease.preference,
        )
        # Whether it may begin is for the decision to say, so no two of these are one command.
        await report.under(place, uuid4())

    async def _attempt(self, loaded: Loaded, report: Reports) -> None:
        """Returns once something of the attempt is on record: mostly its end."""
        deployment: Deployment = loaded.state
        attempt = self._node.attempt(self._id, deployment.attempt)
        state = await asyncio.to_thread(host.look, attempt)
        if isinstance(state, NeverStarted):
            if deployment.launched is not None:  # what would tell of it is gone
                await self._finish(deployment, attempt, report, Ending(cause="lost", reason="部署目录已丢失"))
                return
            if (deployment.stop_requested or deployment.restart_requested) and await asyncio.to_thread(
                host.prevent, attempt
            ):
                await self._report_ended(attempt, report, Ending(cause="restart", reason=""))
                return
            assert deployment.placed is not None
            if refusal := await launch(attempt, deployment.placed, self._node.workdir):
                await self._report_ended(attempt, report, refusal)
                return
        await begun(attempt)
        identity = await asyncio.to_thread(wrapped.command_identity, attempt)
        if identity is None:
            await self._finish(deployment, attempt, report)
            return
        if deployment.launched is None:
            launched = ReportDeploymentLaunched(
                deployment_id=self._id,
                attempt=attempt.number,
                pid=identity.pid,
                start=identity.start,
                boot=identity.boot,
            )
            loaded = await self._reported(report, launched, f"{attempt.number}/launched")
        await self._accompany(loaded, attempt, report)

    async def _accompany(self, loaded: Loaded, attempt: Attempt, report: Reports) -> None:
        identity = await asyncio.to_thread(wrapped.command_identity, attempt)
        with watching(identity) as gone:
            while True:
                deployment: Deployment = loaded.state
                if deployment.ended or deployment.between_attempts:  # it was given up as lost meanwhile
                    return
                if deployment.stop_requested:
                    await self._stop(loaded, attempt, report)
                    return
                if deployment.restart_requested:
                    await self._finish(deployment, attempt, report, Ending(cause="restart", reason=""))
                    return
                match await self._verdict(loaded, attempt, gone, report):
                    case "gone":
                        loaded = await load(self._node.log, DEPLOYMENTS, self._id)
                        await self._finish(loaded.state, attempt, report)
                        return
                    case "changed":
                        self.changed.clear()
                        loaded = await load(self._node.log, DEPLOYMENTS, self._id)
                    case ending:
                        await self._finish(deployment, attempt, report, ending)
                        return

    async def _verdict(self, loaded: Loaded, attempt: Attempt, gone: asyncio.Event, report: Reports) -> _Verdict:
        """What happens first: the process ends, somebody asks for something, or its health decides."""
        health = asyncio.create_task(self._follow_health(loaded, attempt, report))
        waits = (asyncio.create_task(gone.wait()), asyncio.create_task(self.changed.wait()), health)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if gone.is_set():
            return "gone"
        if self.changed.is_set():
            return "changed"
        return health.result()

    async def _follow_health(self, loaded: Loaded, attempt: Attempt, report: Reports) -> Ending:
        """Reports the first good probe; returns when it was bad for too long."""
        deployment: Deployment = loaded.state
        launched_at = _last(loaded, DeploymentLaunched) or time.time()
        pause = _FIRST_PAUSE
        while deployment.status == "starting":
            if await self._node.healthy(deployment, attempt):
                started = ReportDeploymentStarted(deployment_id=self._id, attempt=attempt.number)
                await report(started, f"{attempt.number}/started")
                break
            if time.time() > launched_at + self._node.start_seconds:
                seconds = f"{self._node.start_seconds:g}"
                return Ending(cause="start_timeout", reason=f"启动后 {seconds} 秒内健康检查未通过，已停止")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        well = time.monotonic()
        while True:
            await asyncio.sleep(min(_PAUSE, self._node.liveness_seconds / 4))
            if await self._node.healthy(deployment, attempt):
                well = time.monotonic()
            elif time.monotonic() - well > self._node.liveness_seconds:
                seconds = f"{self._node.liveness_seconds:g}"
                return Ending(cause="unhealthy", reason=f"健康检查连续 {seconds} 秒未通过，已停止")

    async def _stop(self, loaded: Loaded, attempt: Attempt, report: Reports) -> None:
        """TERM, and KILL only where it was asked for; returns once nothing is left and that is on record."""
        deployment: Deployment = loaded.state
        deadline = time.monotonic() + self._node.stop_seconds
        members = await asyncio.to_thread(_processes, attempt)
        stopping = asyncio.create_task(host.stop(attempt, math.inf))
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0 and deployment.force:
                    break
                if left <= 0 and (survivors := await pids_of(attempt)):
                    await self._report_survivors(attempt, survivors, report)
                changed = asyncio.create_task(self.changed.wait())
                await asyncio.wait(
                    (stopping, changed), timeout=left if left > 0 else None, return_when=asyncio.FIRST_COMPLETED
                )
                changed.cancel()
                if stopping.done():
                    break
                if self.changed.is_set():
                    self.changed.clear()
                    deployment = (await load(self._node.log, DEPLOYMENTS, self._id)).state
                    if deployment.ended:  # it was given up as lost meanwhile
                        break
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
        await self._clear(attempt, report, 0.0)
        memory_free = await self._memory_back(deployment, members)
        ending = explain(await end_of(attempt))
        await self._node.release(self._id)  # who hears that it is gone finds its port and its GPU free
        await self._report_ended(attempt, report, ending, memory_free=memory_free)

    async def _finish(
        self, deployment: Deployment, attempt: Attempt, report: Reports, ending: Ending | None = None
    ) -> None:
        """Ends what is left of the attempt, and reports why it ended: `ending`, or what the process itself left."""
        members = await asyncio.to_thread(_processes, attempt)
        await self._clear(attempt, report, self._node.stop_seconds)
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
        await self._report_ended(attempt, report, ending or own, memory_free=memory_free)

    async def _clear(self, attempt: Attempt, report: Reports, grace: float) -> None:
        await clear(attempt, grace, lambda survivors: self._report_survivors(attempt, survivors, report))

    async def _memory_back(self, deployment: Deployment, gone: set[Identity]) -> bool:
        uuid = deployment.placed.gpu_uuid if deployment.placed else None
        if uuid is None or not gone or await memory_back(self._node.devices, uuid, gone):
            return True
        _log.error("deployment %s: its processes are gone, and the driver does not show its GPU free of them", self._id)
        return False

    async def _report_survivors(self, attempt: Attempt, pids: tuple[int, ...], report: Reports) -> None:
        # Whether it is new is for the decision to say, so no two of these are one command.
        unconfirmed = ReportDeploymentStopUnconfirmed(deployment_id=self._id, attempt=attempt.number, pids=pids)
        await report.under(unconfirmed, uuid4())

    async def _report_ended(
        self, attempt: Attempt, report: Reports, ending: Ending, *, memory_free: bool = True
    ) -> None:
        loaded = await load(self._node.log, DEPLOYMENTS, self._id)
        started = _last(loaded, DeploymentStarted)
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
        await report(ended, f"{attempt.number}/ended")

    async def _reported(self, report: Reports, command: ReportDeploymentLaunched, what: str) -> Loaded:
        await report(command, what)
        return await load(self._node.log, DEPLOYMENTS, self._id)


def _processes(attempt: Attempt) -> set[Identity]:
    """Those of the attempt that are alive, and its command, which may have ended before them."""
    command = wrapped.command_identity(attempt)
    return host.members(attempt) | ({command} if command else set())


def _machine_restarted(attempt: Attempt) -> bool:
    """What ran before the machine was started anew did not end by itself, whatever it left behind."""
    identity = wrapped.command_identity(attempt) or wrapped.wrapper_identity(attempt)
    return identity is not None and identity.boot != boot_id()


def _last(loaded: Loaded, kind: type[Event]) -> float | None:
    """When the last fact of a kind was decided, in Unix seconds."""
    found = [entry.meta.time.timestamp() for entry in loaded.recorded if isinstance(entry.fact, kind)]
    return found[-1] if found else None


async def _is_set(event: asyncio.Event, timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return False
    return True
