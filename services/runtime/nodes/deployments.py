"""Asks the nodes that serve: what room they have, how their deployments are just now, what those print."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar
from uuid import UUID

import msgspec
import nats.errors
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.deployments import (
    LOG_ANSWER,
    DeploymentInfo,
    DeploymentState,
    LogAnswer,
    LogQuestion,
    NodeGpus,
    RoomQuestion,
    RoomReport,
    StateQuestion,
    StateReport,
)
from contracts.leases import Wish
from contracts.problems import Refused
from events.log import LogUnavailable
from projections.queries.cut import NOW, Cut
from projections.queries.deployments import deployment_detail, run_of_artifact
from services.runtime.questions import Shown
from services.runtime.reads import Reads

_WITHIN = 2.0  # seconds for any answer
_WINDOW = 0.3  # seconds for a further one
_MOST_ASKED = 500  # deployments in one question, so that the answer is no longer than NATS takes

_T = TypeVar("_T")


class Deployments:
    """`timeout` bounds each wait in seconds."""

    def __init__(self, nc: Client, reads: Reads, *, timeout: float = _WITHIN, window: float = _WINDOW) -> None:
        self._nc = nc
        self._reads = reads
        self._timeout = timeout
        self._window = window

    async def room(self, wish: Wish, node: str | None) -> RoomReport | None:
        """The report of the first node that has room, else of the first that answered, none where none answers.

        With `node` that of this node. Raises LogUnavailable.
        """
        question = msgspec.json.encode(RoomQuestion(wish=wish))
        if node is not None:
            reply = await self._ask(subjects.node_room(node), question)
            return None if reply is None else msgspec.json.decode(reply.data, type=RoomReport)
        reports = await self._ask_all(subjects.NODE_ROOM, question, RoomReport, lambda report: report.refused is None)
        return next((report for report in reports if report.refused is None), reports[0] if reports else None)

    async def run_of(self, artifact_id: UUID) -> UUID | None:
        """Raises Refused (database_unavailable)."""
        return (await self._reads.ask(lambda connection: run_of_artifact(connection, artifact_id))).answer

    async def gpus(self) -> list[NodeGpus]:
        """Of all nodes that answer, by name. Raises LogUnavailable."""
        found = await self._ask_all(subjects.NODE_GPUS, b"", NodeGpus, lambda _: False)
        return sorted(found, key=lambda gpus: gpus.node)

    async def detail(self, deployment_id: UUID, cut: Cut = NOW) -> Shown[DeploymentInfo | None]:
        """A deployment as it is just now; as it was on record in the past. Raises Refused (database_unavailable)."""
        shown = await self.on_record(deployment_id, cut)
        if shown.answer is None or cut.position is not None:
            return shown
        [view] = await self.as_now([shown.answer])
        return Shown(view, shown.position)

    async def on_record(self, deployment_id: UUID, cut: Cut = NOW) -> Shown[DeploymentInfo | None]:
        """As `detail`, without what the node says."""
        return await self._reads.ask(lambda connection: deployment_detail(connection, deployment_id, cut))

    async def as_now(self, views: Iterable[DeploymentInfo]) -> list[DeploymentInfo]:
        """What is on record, with what the nodes say just now: all are asked at once, each bounded."""
        views = list(views)
        by_node: dict[str, list[UUID]] = defaultdict(list)
        for view in views:
            if view.status != "stopped" and not view.removed:
                by_node[view.node].append(view.deployment_id)
        asked = [
            (node, ids[first : first + _MOST_ASKED])
            for node, ids in by_node.items()
            for first in range(0, len(ids), _MOST_ASKED)
        ]
        answers = await asyncio.gather(*(self._states(node, ids) for node, ids in asked))
        states: dict[UUID, DeploymentState | None] = {}
        for (_, ids), answer in zip(asked, answers, strict=True):
            states |= dict.fromkeys(ids) if answer is None else answer
        return [
            _with(view, states[view.deployment_id]) if view.deployment_id in states else replace(view, health_ok=False)
            for view in views
        ]

    async def log(self, view: DeploymentInfo, question: LogQuestion) -> tuple[LogAnswer, bytes]:
        """Raises Refused (deployment_node_unreachable, deployment_log_missing)."""
        reply = await self._ask(subjects.node_deployment_logs(view.node), msgspec.json.encode(question))
        if reply is None:
            raise Refused("deployment_node_unreachable", node=view.node)
        answer = msgspec.json.decode((reply.headers or {})[LOG_ANSWER], type=LogAnswer)
        if answer.status == "missing":
            raise Refused("deployment_log_missing", deployment_id=view.deployment_id)
        return answer, reply.data

    async def _states(self, node: str, ids: list[UUID]) -> dict[UUID, DeploymentState] | None:
        """None where the node does not answer."""
        try:
            question = msgspec.json.encode(StateQuestion(ids=tuple(ids)))
            reply = await self._ask(subjects.node_deployments(node), question)
        except LogUnavailable:
            return None
        if reply is None:
            return None
        report = msgspec.json.decode(reply.data, type=StateReport)
        return {state.deployment_id: state for state in report.states}

    async def _ask(self, subject: str, question: bytes) -> Msg | None:
        """None where nobody answers in time. Raises LogUnavailable."""
        try:
            return await self._nc.request(subject, question, timeout=self._timeout)
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
            return None
        except nats.errors.Error as error:
            raise LogUnavailable(str(error)) from error

    async def _ask_all(self, subject: str, question: bytes, kind: type[_T], enough: Callable[[_T], bool]) -> list[_T]:
        """Every answer until one is enough, in the order in which they come. Raises LogUnavailable."""
        replies: asyncio.Queue[Msg] = asyncio.Queue()

        async def on_reply(message: Msg) -> None:
            replies.put_nowait(message)

        found: list[_T] = []
        inbox = self._nc.new_inbox()
        try:
            subscription = await self._nc.subscribe(inbox, cb=on_reply)
            try:
                await self._nc.publish(subject, question, reply=inbox)
                async with asyncio.timeout(self._timeout) as bound:
                    while True:
                        reply = await replies.get()
                        if (reply.headers or {}).get("Status") == "503":  # nobody listens
                            return found
                        found.append(msgspec.json.decode(reply.data, type=kind))
                        if enough(found[-1]):
                            return found
                        bound.reschedule(asyncio.get_running_loop().time() + self._window)
            except TimeoutError:
                return found
            finally:
                await subscription.unsubscribe()
        except nats.errors.Error as error:
            raise LogUnavailable(str(error)) from error


def _with(view: DeploymentInfo, state: DeploymentState | None) -> DeploymentInfo:
    """`state` is none where the node did not answer."""
    if state is None:
        return replace(view, health_ok=False, reachable=False)
    return replace(
        view,
        status=state.status or view.status,
        pid=state.pid if state.status is not None else view.pid,
        health_ok=state.health_ok,
        exit_code=view.exit_code if state.exit_code is None else state.exit_code,
        failure_cause=state.failure_cause or view.failure_cause,
        failure_reason=state.failure_reason or view.failure_reason,
        reachable=True,
        log_tail=state.log_tail,
    )
