"""One deployment from its request to its end; may be killed anywhere and begun again, also by another process."""

from __future__ import annotations

import asyncio
import time
from typing import Literal
from uuid import UUID, uuid4

from contracts.deployments import (
    PlaceDeployment,
    ReportDeploymentLaunched,
    ReportDeploymentStarted,
    ReportDeploymentStopped,
    ReportDeploymentUnplaced,
)
from contracts.problems import Refused
from events.deployments import (
    Deployment,
    DeploymentAttemptEnded,
    DeploymentLaunched,
)
from services.deployment.attempts import Attempt
from services.deployment.clearing import clear
from services.deployment.closing import Closing, last_time
from services.deployment.endings import Ending
from services.deployment.launching import begun, launch
from services.deployment.node import ACTOR, Node
from services.deployment.watching import watching
from services.handlers.deployments import fill_command, split_extra_args, wish_of
from services.runtime.children import NeverStarted, host, wrapped
from services.runtime.commands import DEPLOYMENTS
from services.runtime.dispatch import Loaded, load
from services.runtime.reporting import Reports

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between probes of one that starts
_PAUSE = 5.0  # between probes of one that runs

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
            closing = Closing(self._node, self._id, report, self.changed)
            if deployment.ended:
                await self._leave(deployment)
                return
            if not deployment.between_attempts:
                await self._attempt(loaded, report, closing)
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
        ended = last_time(loaded, DeploymentAttemptEnded)
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

    async def _attempt(self, loaded: Loaded, report: Reports, closing: Closing) -> None:
        """Returns once something of the attempt is on record: mostly its end."""
        deployment: Deployment = loaded.state
        attempt = self._node.attempt(self._id, deployment.attempt)
        state = await asyncio.to_thread(host.look, attempt)
        if isinstance(state, NeverStarted):
            if deployment.launched is not None:  # what would tell of it is gone
                await closing.finish(deployment, attempt, Ending(cause="lost", reason="部署目录已丢失"))
                return
            if (deployment.stop_requested or deployment.restart_requested) and await asyncio.to_thread(
                host.prevent, attempt
            ):
                await closing.record(attempt, Ending(cause="restart", reason=""))
                return
            assert deployment.placed is not None
            if refusal := await launch(attempt, deployment.placed, self._node.workdir):
                await closing.record(attempt, refusal)
                return
        await begun(attempt)
        identity = await asyncio.to_thread(wrapped.command_identity, attempt)
        if identity is None:
            await closing.finish(deployment, attempt)
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
        await self._accompany(loaded, attempt, report, closing)

    async def _accompany(self, loaded: Loaded, attempt: Attempt, report: Reports, closing: Closing) -> None:
        identity = await asyncio.to_thread(wrapped.command_identity, attempt)
        with watching(identity) as gone:
            while True:
                deployment: Deployment = loaded.state
                if deployment.ended or deployment.between_attempts:  # it was given up as lost meanwhile
                    return
                if deployment.stop_requested:
                    await closing.stop(deployment, attempt)
                    return
                if deployment.restart_requested:
                    await closing.finish(deployment, attempt, Ending(cause="restart", reason=""))
                    return
                match await self._verdict(loaded, attempt, gone, report):
                    case "gone":
                        loaded = await load(self._node.log, DEPLOYMENTS, self._id)
                        await closing.finish(loaded.state, attempt)
                        return
                    case "changed":
                        self.changed.clear()
                        loaded = await load(self._node.log, DEPLOYMENTS, self._id)
                    case ending:
                        await closing.finish(deployment, attempt, ending)
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
        launched_at = last_time(loaded, DeploymentLaunched) or time.time()
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

    async def _reported(self, report: Reports, command: ReportDeploymentLaunched, what: str) -> Loaded:
        await report(command, what)
        return await load(self._node.log, DEPLOYMENTS, self._id)


async def _is_set(event: asyncio.Event, timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return False
    return True
