"""Leaves nothing of an attempt: no process, and nothing of the GPU's memory."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from services.deployment.attempts import Attempt
from services.runtime.children import Ended, Lost, NeverStarted, host
from services.runtime.gpus import Gpus

_log = logging.getLogger(__name__)
_LOOK = 0.01  # seconds between looks at a command that has just ended
_AGAIN = 30.0
_MEMORY_LOOK = 0.2

Pids = tuple[int, ...]


async def pids_of(attempt: Attempt) -> Pids:
    """What is alive of it."""
    found = await asyncio.to_thread(host.members, attempt)
    return tuple(sorted(identity.pid for identity in found))


async def clear(attempt: Attempt, grace: float, told: Callable[[Pids], Awaitable[None]] | None = None) -> None:
    """Returns once nothing of it is alive: TERM, after `grace` seconds KILL, and `told` of what outlives that."""
    while survivors := await host.stop(attempt, grace):
        _log.error("deployment %s: pids %s are alive after KILL; trying again", attempt.deployment_id, survivors)
        if told is not None:
            await told(survivors)
        await asyncio.sleep(_AGAIN)


async def memory_back(gpus: Gpus, pids: Pids, deployment_id: UUID) -> None:
    """Returns once the driver shows none of the processes on a GPU any more."""
    told = False
    begun = time.monotonic()
    while True:
        devices = await asyncio.to_thread(gpus.devices)
        used = {process.pid for device in devices for process in device.processes}
        if not used & set(pids):
            return
        if not told and time.monotonic() - begun > _AGAIN:
            told = True
            _log.error("deployment %s: its processes are gone, and still have memory of the GPU", deployment_id)
        await asyncio.sleep(_MEMORY_LOOK)


async def end_of(attempt: Attempt) -> Ended | Lost:
    """Of one of which no process is left: its wrapper is about to write the exit code."""
    while True:
        state = await asyncio.to_thread(host.look, attempt)
        if isinstance(state, Ended | Lost):
            return state
        if isinstance(state, NeverStarted):
            return Lost()
        await asyncio.sleep(_LOOK)
