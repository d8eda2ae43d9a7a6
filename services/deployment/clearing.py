"""Leaves nothing of an attempt: no process, and nothing in the GPU's memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from services.deployment.attempts import Attempt
from services.runtime.children import Ended, Lost, NeverStarted, host, processes
from services.runtime.children.processes import Identity
from services.runtime.nodes.gpus import Device, SharedLook

_log = logging.getLogger(__name__)
_LOOK = 0.01  # seconds between looks at a command that has just ended
_AGAIN = 30.0
_MEMORY_LOOK = 0.2
_MEMORY_WITHIN = 30.0

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


async def memory_back(devices: SharedLook, uuid: str, gone: Iterable[Identity]) -> bool:
    """Waits until the driver shows none of the processes on the GPU of that UUID; False where it still did at last.

    It may, of processes that have ended: where it counts them as another namespace of pids does, or has lost the GPU.
    """
    try:
        async with asyncio.timeout(_MEMORY_WITHIN):
            while not _is_back(await devices(), uuid, gone):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(_MEMORY_LOOK)
    except TimeoutError:
        return False
    return True


def _is_back(devices: Iterable[Device], uuid: str, gone: Iterable[Identity]) -> bool:
    device = next((device for device in devices if device.gpu.uuid == uuid), None)
    if device is None:
        return False
    used = {process.pid for process in device.processes}
    # Whoever has the pid by now is another one.
    return not any(one.pid in used and processes.identity_of(one.pid) in (None, one) for one in gone)


async def end_of(attempt: Attempt) -> Ended | Lost:
    """Of one of which no process is left: its wrapper is about to write the exit code."""
    while True:
        state = await asyncio.to_thread(host.look, attempt)
        if isinstance(state, Ended | Lost):
            return state
        if isinstance(state, NeverStarted):
            return Lost()
        await asyncio.sleep(_LOOK)
