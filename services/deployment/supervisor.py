"""One deployment from its request to its end; may be killed anywhere and begun again, also by another process."""

from __future__ import annotations

import asyncio
import logging
import math
import os
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
    DeploymentPlaced,
    DeploymentStarted,
)
from events.event import Event
from events.leases import LeasedGpu
from services.deployment import attempts
from services.deployment.attempts import Attempt
from services.deployment.endings import Ending, explain, says_port_taken
from services.deployment.node import ACTOR, Node
from services.deployment.ports import holds, is_free, listening, reachable_host, strangers_listen
from services.deployment.watching import watching
from services.handlers.deployments import fill_command, split_extra_args, wish_of
from services.runtime.children import Ended, LaunchFailed, Lost, NeverStarted, Starting, host, wrapped
from services.runtime.children.processes import boot_id
from services.runtime.commands import DEPLOYMENTS
from services.runtime.dispatch import Loaded, load
from services.runtime.leasing import visible
from services.runtime.reporting import Reports
from services.runtime.settings import ENVIRONMENT_NAMES

_log = logging.getLogger(__name__)
_LAUNCH_LOOK = 0.01  # seconds between looks at a command that is just being started, or has just ended
_LAUNCH_WITHIN = 10.0
_STOP_AGAIN = 30.0
_PROBE = 2.0  # seconds that a server gets to answer
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # between probes of one that starts
_PAUSE = 5.0  # between probes of one that runs
_STEADY = 300.0  # seconds of service after which earlier failures do not count
_MEMORY_LOOK = 0.2
_OWN_PREFIXES = ("NATS_", "TRAINLEDGER_")
# It would move vLLM's own ports; the other two say which GPU there is.
_REPLACED = ("VLLM_PORT", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")

_NO_ROOM: dict[str, Literal["no_port", "no_gpu"]] = {"no_free_port": "no_port", "no_gpu": "no_gpu"}

_Verdict = Literal["gone", "changed", "start_timeout", "unhealthy"]


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
            await self._clear(attempt, None, grace=self._node.stop_seconds)

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
            if not await self._launched(deployment, attempt, report):
                return
        while isinstance(await asyncio.to_thread(host.look, attempt), Starting):  # noqa: ASYNC110 - no task of ours
            await asyncio.sleep(_LAUNCH_LOOK)
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

    async def _launched(self, deployment: Deployment, attempt: Attempt, report: Reports) -> bool:
        """False where it could not be, which is on record then."""
        assert deployment.placed is not None
        workdir = self._node.workdir
        try:
            await asyncio.to_thread(attempts.prepare, attempt)
            environment = _environment(deployment.placed)
            await asyncio.to_thread(host.launch, attempt, deployment.placed.argv, environment, workdir)
        except (LaunchFailed, OSError) as failure:
            if await asyncio.to_thread(host.prevent, attempt):
                ending = Ending(cause="launch", reason=str(failure))
                await self._report_ended(attempt, report, ending)
                return False
        deadline = time.monotonic() + _LAUNCH_WITHIN
        while isinstance(await asyncio.to_thread(host.look, attempt), NeverStarted):
            if time.monotonic() > deadline and await asyncio.to_thread(host.prevent, attempt):
                ending = Ending(cause="launch", reason="启动包装进程没有响应，服务未启动")
                await self._report_ended(attempt, report, ending)
                return False
            await asyncio.sleep(_LAUNCH_LOOK)
        return True

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
                    case "start_timeout":
                        seconds = f"{self._node.start_seconds:g}"
                        ending = Ending(cause="start_timeout", reason=f"启动后 {seconds} 秒内健康检查未通过，已停止")
                        await self._finish(deployment, attempt, report, ending)
                        return
                    case "unhealthy":
                        seconds = f"{self._node.liveness_seconds:g}"
                        ending = Ending(cause="unhealthy", reason=f"健康检查连续 {seconds} 秒未通过，已停止")
                        await self._finish(deployment, attempt, report, ending)
                        return
                    case "changed":
                        self.changed.clear()
                        loaded = await load(self._node.log, DEPLOYMENTS, self._id)

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

    async def _follow_health(self, loaded: Loaded, attempt: Attempt, report: Reports) -> _Verdict:
        """Reports the first good probe; returns when it was bad for too long."""
        deployment: Deployment = loaded.state
        launched_at = _last(loaded, DeploymentLaunched) or time.time()
        pause = _FIRST_PAUSE
        while deployment.status == "starting":
            if await self.healthy(deployment, attempt):
                started = ReportDeploymentStarted(deployment_id=self._id, attempt=attempt.number)
                await report(started, f"{attempt.number}/started")
                break
            if time.time() > launched_at + self._node.start_seconds:
                return "start_timeout"
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        well = time.monotonic()
        while True:
            await asyncio.sleep(min(_PAUSE, self._node.liveness_seconds / 4))
            if await self.healthy(deployment, attempt):
                well = time.monotonic()
            elif time.monotonic() - well > self._node.liveness_seconds:
                return "unhealthy"

    async def healthy(self, deployment: Deployment, attempt: Attempt, timeout: float = _PROBE) -> bool:
        """Whether the server answers so just now, and not somebody else in its place."""
        assert deployment.placed is not None
        assert deployment.requested is not None
        port, path = deployment.placed.port, deployment.requested.health_path
        if not await self._node.health.probe(reachable_host(self._node.host), port, path, timeout):
            return False
        return not await asyncio.to_thread(_is_anothers, attempt, port)

    async def _stop(self, loaded: Loaded, attempt: Attempt, report: Reports) -> None:
        """TERM, and KILL only where it was asked for; returns once nothing is left and that is on record."""
        deployment: Deployment = loaded.state
        deadline = time.monotonic() + self._node.stop_seconds
        pids = await self._pids(attempt)
        stopping = asyncio.create_task(host.stop(attempt, math.inf))
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0 and deployment.force:
                    break
                if left <= 0 and (survivors := await self._pids(attempt)):
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
        await self._clear(attempt, report, grace=0.0)
        await self._memory_back(deployment, pids)
        ending = explain(await self._end_of(attempt))
        await self._node.release(self._id)  # who hears that it is gone finds its port and its GPU free
        await self._report_ended(attempt, report, ending)

    async def _finish(
        self, deployment: Deployment, attempt: Attempt, report: Reports, ending: Ending | None = None
    ) -> None:
        """Ends what is left of the attempt, and reports why it ended: `ending`, or what the process itself left."""
        pids = await self._pids(attempt)
        await self._clear(attempt, report, grace=self._node.stop_seconds)
        await self._memory_back(deployment, pids)
        own = explain(await self._end_of(attempt))
        if ending is None and await asyncio.to_thread(_machine_restarted, attempt):
            ending = Ending(cause="machine_restart", reason="主机已重新启动")
        if ending is None and deployment.status == "starting" and own.cause in ("exit", "signal"):
            assert deployment.placed is not None
            said = await asyncio.to_thread(_last_lines, attempt)
            if says_port_taken(said) or not await asyncio.to_thread(is_free, self._node.host, deployment.placed.port):
                port = deployment.placed.port
                ending = Ending(cause="port_taken", reason=f"端口 {port} 已被其他进程占用", exit_code=own.exit_code)
        await self._report_ended(attempt, report, ending or own)

    async def _end_of(self, attempt: Attempt) -> Ended | Lost:
        """Of an attempt of which no process is left: its wrapper is about to write the exit code."""
        while True:
            state = await asyncio.to_thread(host.look, attempt)
            if isinstance(state, Ended | Lost):
                return state
            if isinstance(state, NeverStarted):
                return Lost()
            await asyncio.sleep(_LAUNCH_LOOK)

    async def _clear(self, attempt: Attempt, report: Reports | None, *, grace: float) -> None:
        """Returns once nothing of the attempt is alive; until then its end is not reported."""
        while survivors := await host.stop(attempt, grace):
            _log.error("deployment %s: pids %s are alive after KILL; trying again", self._id, survivors)
            if report is not None:
                await self._report_survivors(attempt, survivors, report)
            await asyncio.sleep(_STOP_AGAIN)

    async def _pids(self, attempt: Attempt) -> tuple[int, ...]:
        found = await asyncio.to_thread(host.members, attempt)
        return tuple(sorted(identity.pid for identity in found))

    async def _memory_back(self, deployment: Deployment, pids: tuple[int, ...]) -> None:
        """Returns once the driver shows none of the processes on the GPU any more."""
        if deployment.placed is None or deployment.placed.gpu_uuid is None or not pids:
            return
        told = False
        begun = time.monotonic()
        while True:
            devices = await asyncio.to_thread(self._node.gpus.devices)
            used = {process.pid for device in devices for process in device.processes}
            if not used & set(pids):
                return
            if not told and time.monotonic() - begun > _STOP_AGAIN:
                told = True
                _log.error("deployment %s: its processes are gone, and still have memory of the GPU", self._id)
            await asyncio.sleep(_MEMORY_LOOK)

    async def _report_survivors(self, attempt: Attempt, pids: tuple[int, ...], report: Reports) -> None:
        # Whether it is new is for the decision to say, so no two of these are one command.
        unconfirmed = ReportDeploymentStopUnconfirmed(deployment_id=self._id, attempt=attempt.number, pids=pids)
        await report.under(unconfirmed, uuid4())

    async def _report_ended(self, attempt: Attempt, report: Reports, ending: Ending) -> None:
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
            log_bytes=await asyncio.to_thread(attempts.log_size, attempt.log),
            steady=steady,
            restarts=self._node.restarts,
        )
        await report(ended, f"{attempt.number}/ended")

    async def _reported(self, report: Reports, command: ReportDeploymentLaunched, what: str) -> Loaded:
        await report(command, what)
        return await load(self._node.log, DEPLOYMENTS, self._id)


def _environment(placed: DeploymentPlaced) -> dict[str, str]:
    """Of the server: this process's own without the service's settings and secrets, and the GPU that it may see."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ENVIRONMENT_NAMES.values() and not name.startswith(_OWN_PREFIXES) and name not in _REPLACED
    }
    # Titles of processes are written over their environment, and with it over what they are found by.
    environment |= {"PYTHONUNBUFFERED": "1", "SPT_NOENV": "1"}
    if placed.gpu_id is not None:
        environment |= visible([LeasedGpu(index=placed.gpu_id, uuid=placed.gpu_uuid or "")])
    elif hidden := os.environ.get("CUDA_VISIBLE_DEVICES"):
        environment["CUDA_VISIBLE_DEVICES"] = hidden
    return environment


def _is_anothers(attempt: Attempt, port: int) -> bool:
    """Mostly the command itself listens, which costs no look at all processes to find out."""
    sockets = listening(port)
    command = wrapped.command_identity(attempt)
    if not sockets or command is None or holds(command.pid, sockets):
        return False
    return strangers_listen(sockets, [identity.pid for identity in host.members(attempt)], command.start)


def _machine_restarted(attempt: Attempt) -> bool:
    """What ran before the machine was started anew did not end by itself, whatever it left behind."""
    identity = wrapped.command_identity(attempt) or wrapped.wrapper_identity(attempt)
    return identity is not None and identity.boot != boot_id()


def _last_lines(attempt: Attempt) -> tuple[str, ...]:
    try:
        return attempts.last_lines(attempt.log, 50)
    except OSError:
        return ()


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
