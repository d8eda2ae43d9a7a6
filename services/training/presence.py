"""How a node is known to the others: registered, heard of again and again, and answering questions about itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.nodes import NodeAnswer, RegisterNode
from events.event import Origin
from events.log import EventLog, LogUnavailable
from services.runtime.commands import RUNS
from services.runtime.dispatch import Dispatch, load
from services.runtime.nodes.gpus import Gpus
from services.runtime.settings import SettingRefused
from services.training.lease import Lease
from services.training.reports import ACTOR

_AGAIN = 1.0
_REGISTER_AGAIN = 60.0

_log = logging.getLogger(__name__)


async def stay_present(lease: Lease, dispatch: Dispatch, node: RegisterNode) -> None:
    """One heartbeat after the other, until cancelled. Raises SettingRefused where the name became another's.

    Now and then, and after every gap, the node registers again: it may have been declared lost meanwhile, which costs
    a fact only where that is so.
    """
    clock = asyncio.get_running_loop().time
    heard: float | None = None
    registered = 0.0
    while True:
        pause = lease.every
        try:
            await lease.beat()
            now = clock()
            if heard is None or now - heard > 2 * lease.every or now - registered > _REGISTER_AGAIN:
                heard = None
                await dispatch(node, Origin(actor=ACTOR, command_id=uuid4()))
                registered = now
            heard = now
        except LogUnavailable as error:
            _log.warning("no heartbeat of node %s: %s", node.name, error)
            heard, pause = None, min(lease.every, _AGAIN)
        await asyncio.sleep(pause)


async def stay_known(earlier: Lease, name: str) -> None:
    """Heartbeats under an earlier name of this node, so that nobody gives up its runs, which go on; until cancelled.

    Ends where the name is another's by now: then that one is heard of.
    """
    taken = False
    while True:
        try:
            await (earlier.beat() if taken else earlier.take())
            taken = True
        except LogUnavailable as error:
            _log.warning("no heartbeat of this node's earlier name %s: %s", name, error)
        except SettingRefused:
            _log.warning("this node's earlier name %s is another's now", name)
            return
        await asyncio.sleep(earlier.every)


async def earlier_names(log: EventLog, name: str, live: Iterable[UUID]) -> set[str]:
    """Under which runs of this node go on, or wait, that were asked for under another. Raises LogUnavailable."""
    runs = [(await load(log, RUNS, run_id)).state for run_id in live]
    return {run.node for run in runs if run.status is not None and not run.ended} - {name}


async def answer_status_questions(nc: Client, node: str, gpus: Gpus) -> Subscription:
    """Subscribes; unsubscribing ends it."""

    async def on_question(message: Msg) -> None:
        answer = NodeAnswer(gpus=await asyncio.to_thread(gpus.read))
        await message.respond(msgspec.json.encode(answer))

    return await nc.subscribe(subjects.node_status(node), cb=on_question)
