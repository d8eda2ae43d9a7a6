"""The name of a node is one training service's at a time: held by heartbeats, free again when they end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from msgspec.structs import replace

from contracts.nodes import Heartbeat
from services.runtime.durable_files import write_durably
from services.runtime.nodes.heartbeats import Heartbeats
from services.runtime.settings import SettingRefused

_LASTS = 3  # heartbeats that have to be missing until a name is free
_LOOK = 0.5


class Lease:
    """Of the name `node`. It is kept by `beat`, which has to come as often as `own` says."""

    def __init__(self, heartbeats: Heartbeats, node: str, own: Heartbeat) -> None:
        self._heartbeats = heartbeats
        self._node = node
        self._own = own
        self._revision = 0

    @property
    def every(self) -> float:
        """Seconds between two heartbeats."""
        return self._own.every

    async def take(self) -> None:
        """Takes the name: at once where nobody has it or the service of this data directory had it, which has ended.

        Else once its holder's heartbeats have stopped. Raises SettingRefused as soon as another one comes, and
        LogUnavailable.
        """
        first = await self._heartbeats.last(self._node)
        found = first
        while found is not None and first is not None:
            if found.revision != first.revision:
                raise self._taken()
            if found.heartbeat.stopped or self._is_predecessor(found.heartbeat):
                break
            if await self._heartbeats.now() - found.at > timedelta(seconds=_LASTS * found.heartbeat.every):
                break
            await asyncio.sleep(_LOOK)
            found = await self._heartbeats.last(self._node)
        revision = await self._heartbeats.put(self._node, self._own, found.revision if found else 0)
        if revision is None:
            raise self._taken()
        self._revision = revision

    async def was_ours(self, name: str) -> bool:
        """Whether no other service than those of this data directory had a name last. Raises LogUnavailable."""
        found = await self._heartbeats.last(name)
        return found is None or found.heartbeat.data_directory == self._own.data_directory

    async def beat(self) -> None:
        """Raises SettingRefused where another service took the name meanwhile, and LogUnavailable."""
        await self._put(self._own)

    async def release(self) -> None:
        """Lets the name go at once. Raises LogUnavailable."""
        await self._put(replace(self._own, stopped=True))

    async def _put(self, heartbeat: Heartbeat) -> None:
        revision = await self._heartbeats.put(self._node, heartbeat, self._revision)
        if revision is None:
            found = await self._heartbeats.last(self._node)
            if found is not None and found.heartbeat.instance != self._own.instance:
                raise self._taken()
            # An earlier heartbeat was stored and its answer lost, or the store lost them all.
            revision = await self._heartbeats.put(self._node, heartbeat, found.revision if found else 0)
            if revision is None:
                raise self._taken()
        self._revision = revision

    def _is_predecessor(self, heartbeat: Heartbeat) -> bool:
        """On this very machine only one service is let into a data directory; a copy of it elsewhere is another's."""
        return (heartbeat.data_directory, heartbeat.boot) == (self._own.data_directory, self._own.boot)

    def _taken(self) -> SettingRefused:
        return SettingRefused(
            f"TRAINLEDGER_NODE is {self._node}, but another training service of that name is at work on this NATS; "
            "give each its own name."
        )


def own_heartbeat(data_directory: Path, boot: str, every: float) -> Heartbeat:
    """Of a new service of that directory, which keeps its identity in `node-id`; `every` so many seconds."""
    file = data_directory / "node-id"
    try:
        identity = UUID(file.read_text().strip())
    except (FileNotFoundError, ValueError):
        identity = uuid4()
        write_durably(file, str(identity).encode())
    return Heartbeat(instance=uuid4(), data_directory=identity, boot=boot, every=every)
