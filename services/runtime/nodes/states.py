"""What nodes say of themselves just now, and when they were last heard of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

import msgspec
import nats.errors
from nats.aio.client import Client

from contracts import subjects
from contracts.nodes import NodeAnswer
from events.log import LogUnavailable
from services.runtime.nodes.heartbeats import Heartbeats

_decode = msgspec.json.Decoder(NodeAnswer).decode


class Seen(msgspec.Struct, frozen=True):
    """`answer` is none where the node gave none in time; `heard` is the store's time of its last heartbeat, if any."""

    answer: NodeAnswer | None
    heard: datetime | None


class NodeStates:
    """`timeout` bounds the wait for a node's answer (seconds)."""

    def __init__(self, nc: Client, *, timeout: float = 1.0) -> None:
        self._nc = nc
        self._timeout = timeout
        self._heartbeats = Heartbeats(nc, timeout=timeout)

    async def look(self, nodes: Iterable[str]) -> list[Seen]:
        """Of all these nodes at once, in their order."""
        return await asyncio.gather(*(self._look(node) for node in nodes))

    async def _look(self, node: str) -> Seen:
        return Seen(*await asyncio.gather(self._ask(node), self._heard(node)))

    async def _ask(self, node: str) -> NodeAnswer | None:
        try:
            reply = await self._nc.request(subjects.node_status(node), b"", timeout=self._timeout)
            return _decode(reply.data)
        except (nats.errors.Error, msgspec.DecodeError):  # nobody listens, no answer in time or none to be read
            return None

    async def _heard(self, node: str) -> datetime | None:
        try:
            last = await self._heartbeats.last(node)
        except LogUnavailable:
            return None
        return None if last is None else last.at
