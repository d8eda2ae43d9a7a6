"""Answers, for this node, how its deployments are just now, what they print, and what room there is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.deployments import (
    LOG_ANSWER,
    DeploymentState,
    GpuDetail,
    HeldLease,
    LeaseView,
    LogAnswer,
    LogQuestion,
    NodeGpus,
    RoomQuestion,
    RoomReport,
    StateQuestion,
    StateReport,
)
from contracts.files import LONGEST_PIECE
from contracts.problems import Refused
from events.deployments import (
    Deployment,
    DeploymentAttemptEnded,
    DeploymentFailed,
    DeploymentLaunched,
    DeploymentStatus,
)
from events.leases import Leases, LeaseTaken
from events.log import LogUnavailable
from services.deployment import logs
from services.deployment.attempts import Attempt
from services.deployment.endings import explain
from services.deployment.node import Node
from services.handlers.leases import take_lease
from services.runtime.children import Ended, Lost, Running, host, processes
from services.runtime.children.processes import Identity
from services.runtime.commands import DEPLOYMENTS
from services.runtime.dispatch import Loaded, load
from services.runtime.nodes.gpus import Device
from services.runtime.nodes.leasing import holder_of

_PROBE = 1.5  # seconds, so that the whole answer comes within 2
_WITHIN = 1.8  # seconds for one state: one that cannot be told in time does not cost the others their answer
_LOOK = 0.02
_TAIL = 20  # lines
_LONGEST_TAIL = 16 * 1024  # bytes
_ESCAPED = 8  # a byte of a log may be so many in an answer
_NOBODY = UUID(int=0)

_log = logging.getLogger(__name__)


class Answers:
    """Everything raises LogUnavailable."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def room(self, question: RoomQuestion) -> RoomReport:
        """By the decision that would take it, on what is taken now."""
        asked = await self._node.room(_NOBODY, question.wish)
        try:
            take_lease(await self._node.leases(), asked, None)
        except Refused as refused:
            code = "no_free_port" if refused.code == "no_free_port" else "no_gpu"
            return RoomReport(node=self._node.name, refused=code)  # type: ignore[arg-type]  # one of the two
        return RoomReport(node=self._node.name)

    async def gpus(self) -> NodeGpus:
        leases, devices = await asyncio.gather(self._node.leases(), self._node.devices())
        ports = tuple(sorted(leases.ports))
        details = await asyncio.to_thread(lambda: tuple(_gpu(device, leases) for device in devices))
        held = tuple(_held(lease) for lease in leases.held.values())
        return NodeGpus(node=self._node.name, reachable=True, gpus=details, ports=ports, leases=held)

    async def states(self, question: StateQuestion, most: int) -> StateReport:
        """All at once, in about `most` bytes."""
        tail = min(most // _ESCAPED // max(len(question.ids), 1), _LONGEST_TAIL)
        states = await asyncio.gather(*(self._state_in_time(deployment_id, tail) for deployment_id in question.ids))
        return StateReport(node=self._node.name, states=tuple(states))

    async def _state_in_time(self, deployment_id: UUID, tail: int) -> DeploymentState:
        try:
            async with asyncio.timeout(_WITHIN):
                return await self._state(deployment_id, tail)
        except TimeoutError:
            return DeploymentState(deployment_id=deployment_id)

    async def _state(self, deployment_id: UUID, longest_tail: int) -> DeploymentState:
        loaded = await load(self._node.log, DEPLOYMENTS, deployment_id)
        deployment: Deployment = loaded.state
        if deployment.service != self._node.service:
            return DeploymentState(deployment_id=deployment_id)
        attempt = self._node.attempt(deployment_id, deployment.attempt)
        if deployment.launched is None or deployment.ended:
            return await asyncio.to_thread(_on_record, deployment_id, attempt, loaded, longest_tail)
        while isinstance(state := await asyncio.to_thread(host.look, attempt), Running):
            if await asyncio.to_thread(_is_there, deployment.launched):
                break
            await asyncio.sleep(_LOOK)  # its wrapper is about to write how it ended
        if isinstance(state, Running):
            healthy = await self._node.healthy(deployment, attempt, _PROBE)
            status: DeploymentStatus = "running" if healthy or deployment.status == "running" else "starting"
            if deployment.stop_requested:
                status = "stopping"
            elif deployment.restart_requested:  # what still answers is about to end
                status, healthy = "starting", False
            pid = deployment.launched.pid
            return DeploymentState(deployment_id=deployment_id, status=status, pid=pid, health_ok=healthy)
        status = _status_of_gone(deployment, state)
        if status != "failed" or not isinstance(state, Ended | Lost):
            return DeploymentState(deployment_id=deployment_id, status=status)
        ending = explain(state)
        return DeploymentState(
            deployment_id=deployment_id,
            status=status,
            exit_code=ending.exit_code,
            failure_cause=ending.failure or "exit",
            failure_reason=ending.reason,
            log_tail=await asyncio.to_thread(logs.last_lines, attempt.log, _TAIL, longest=longest_tail),
        )

    async def log(self, question: LogQuestion, most: int) -> tuple[LogAnswer, bytes]:
        """At most `most` bytes."""
        return await asyncio.to_thread(self._read_log, question, min(max(question.length, 0), most, LONGEST_PIECE))

    def _read_log(self, question: LogQuestion, length: int) -> tuple[LogAnswer, bytes]:
        log = self._node.attempt(question.deployment_id, 0).log
        try:
            offset = question.offset if question.lines is None else logs.line_start(log, question.lines)
            start, data = logs.read(log, offset, length)
        except OSError:
            return LogAnswer(status="missing"), b""
        return LogAnswer(status="ok", size=logs.size(log), offset=start), data


async def answer_questions(nc: Client, node: Node) -> list[Subscription]:
    """Subscribes; unsubscribing ends it. No question waits for another one's answer."""
    answers = Answers(node)
    tasks: set[asyncio.Task[None]] = set()

    def answering(respond: Callable[[Msg], Awaitable[None]]) -> Callable[[Msg], Awaitable[None]]:
        async def guarded(message: Msg) -> None:
            try:
                await respond(message)
            except msgspec.DecodeError:
                _log.warning("a question on %s cannot be read", message.subject)
            except LogUnavailable as error:
                _log.warning("a question on %s stays without an answer: %s", message.subject, error)

        async def on_question(message: Msg) -> None:
            task = asyncio.create_task(guarded(message))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        return on_question

    async def on_room(message: Msg) -> None:
        report = await answers.room(msgspec.json.decode(message.data, type=RoomQuestion))
        await message.respond(msgspec.json.encode(report))

    async def on_gpus(message: Msg) -> None:
        await message.respond(msgspec.json.encode(await answers.gpus()))

    async def on_states(message: Msg) -> None:
        report = await answers.states(msgspec.json.decode(message.data, type=StateQuestion), nc.max_payload // 2)
        await message.respond(msgspec.json.encode(report))

    async def on_log(message: Msg) -> None:
        question = msgspec.json.decode(message.data, type=LogQuestion)
        answer, data = await answers.log(question, nc.max_payload // 2)
        await nc.publish(message.reply, data, headers={LOG_ANSWER: msgspec.json.encode(answer).decode()})

    return [
        await nc.subscribe(subjects.NODE_ROOM, cb=answering(on_room)),
        await nc.subscribe(subjects.node_room(node.name), cb=answering(on_room)),
        await nc.subscribe(subjects.NODE_GPUS, cb=answering(on_gpus)),
        await nc.subscribe(subjects.node_deployments(node.name), cb=answering(on_states)),
        await nc.subscribe(subjects.node_deployment_logs(node.name), cb=answering(on_log)),
    ]


def _is_there(launched: DeploymentLaunched) -> bool:
    return processes.alive(Identity(launched.pid, launched.start, launched.boot))


def _status_of_gone(deployment: Deployment, state: object) -> DeploymentStatus:
    """What will be on record in a moment."""
    if deployment.stop_requested:
        return "stopping"
    assert deployment.requested is not None
    if deployment.restart_requested or deployment.requested.restart_policy == "on-failure":
        return "starting"
    if not isinstance(state, Ended | Lost):
        return deployment.status or "starting"
    return "stopped" if explain(state).cause is None and deployment.status == "running" else "failed"


def _on_record(deployment_id: UUID, attempt: Attempt, loaded: Loaded, longest_tail: int) -> DeploymentState:
    """By its facts: whoever asks may have read models that do not know yet what this node told before it was a fact."""
    deployment: Deployment = loaded.state
    state = DeploymentState(
        deployment_id=deployment_id, status=deployment.status, log_tail=_tail(attempt, loaded, longest_tail)
    )
    endings = (entry.fact for entry in reversed(loaded.recorded) if isinstance(entry.fact, DeploymentFailed))
    if deployment.status != "failed" or (failed := next(endings, None)) is None:
        return state
    return msgspec.structs.replace(
        state, exit_code=failed.exit_code, failure_cause=failed.cause, failure_reason=failed.reason
    )


def _tail(attempt: Attempt, loaded: Loaded, longest: int) -> tuple[str, ...] | None:
    """Of the log as it was when the last attempt ended in failure."""
    ended = [
        entry.fact for entry in loaded.recorded if isinstance(entry.fact, DeploymentFailed | DeploymentAttemptEnded)
    ]
    if not ended or loaded.state.status not in ("failed", "starting"):
        return None
    return logs.last_lines(attempt.log, _TAIL, until=ended[-1].log_bytes, longest=longest)


def _held(lease: LeaseTaken) -> HeldLease:
    return HeldLease(
        holder=lease.holder,
        kind=lease.kind,
        port=lease.port,
        gpus=tuple(gpu.index for gpu in lease.gpus),
        exclusive=lease.exclusive,
        memory=lease.memory,
    )


def _gpu(device: Device, leases: Leases) -> GpuDetail:
    held = leases.of_gpu(device.gpu.uuid or str(device.index))
    return GpuDetail(
        index=device.index,
        uuid=device.gpu.uuid,
        name=device.gpu.name,
        memory_total=device.gpu.memory_total,
        memory_free=device.gpu.memory_free,
        foreign_processes=sum(holder_of(process.pid) is None for process in device.processes),
        leases=tuple(
            LeaseView(holder=lease.holder, kind=lease.kind, exclusive=lease.exclusive, memory=lease.memory)
            for lease in held
        ),
    )
