"""How a node is known to the others: registered, heard of again and again, and answering questions about itself."""

from __future__ import annotations

import asyncio
import logging
from uuid import uuid4

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.nodes import NodeAnswer, RegisterNode
from events.event import Origin
from events.log import LogUnavailable
from services.runtime.dispatch import Dispatch
from services.training.gpus import Gpus
from services.training.lease import HEARTBEAT, Lease
from services.training.reports import ACTOR

_AGAIN = 1.0
_REGISTER_AGAIN = 60.0

_log = logging.getLogger(__name__)


async def stay_present(lease: Lease, dispatch: Dispatch, node: RegisterNode, *, every: float = HEARTBEAT) -> None:
    """A heartbeat every so many seconds, until cancelled. Raises SettingRefused where the name became another's.

    Now and then, and after every gap, the node registers again: it may have been declared lost meanwhile, which costs
    a fact only where that is so.
    """
    clock = asyncio.get_running_loop().time
    heard: float | None = None
    registered = 0.0
    while True:
        pause = every
        try:
            await lease.beat()
            now = clock()
            if heard is None or now - heard > 2 * every or now - registered > _REGISTER_AGAIN:
                heard = None
                await dispatch(node, Origin(actor=ACTOR, command_id=uuid4()))
                registered = now
            heard = now
        except LogUnavailable as error:
            _log.warning("no heartbeat of node %s: %s", node.name, error)
            heard, pause = None, min(every, _AGAIN)
        await asyncio.sleep(pause)


async def answer_status_questions(nc: Client, node: str, gpus: Gpus) -> Subscription:
    """Subscribes; unsubscribing ends it."""

    async def on_question(message: Msg) -> None:
        answer = NodeAnswer(gpus=await asyncio.to_thread(gpus.read))
        await message.respond(msgspec.json.encode(answer))

    return await nc.subscribe(subjects.node_status(node), cb=on_question)
