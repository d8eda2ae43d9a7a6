"""How a deployment service is known to live: heard of again and again."""

from __future__ import annotations

import asyncio
import logging

from nats.aio.client import Client

from contracts.nodes import ServingHeartbeat
from events.log import LogUnavailable
from services.deployment.node import Node
from services.runtime.nodes.heartbeats import Heartbeats

_AGAIN = 1.0

_log = logging.getLogger(__name__)


class SignsOfLife:
    """Of the service whose data directory is `node.service`, whatever its name; one every `every` seconds."""

    def __init__(self, nc: Client, node: Node, every: float) -> None:
        self._heartbeats = Heartbeats(nc)
        self._node = node
        self._every = every

    async def give(self) -> bool:
        """One; false where it could not be stored."""
        try:
            await self._heartbeats.put_serving(self._node.service, ServingHeartbeat(node=self._node.name))
        except LogUnavailable as error:
            _log.warning("no heartbeat of the deployment service of node %s: %s", self._node.name, error)
            return False
        return True

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            given = await self.give()
            await asyncio.sleep(self._every if given else min(self._every, _AGAIN))
