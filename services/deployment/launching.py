"""Starts an attempt's server, at most once."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from events.deployments import DeploymentPlaced
from events.leases import LeasedGpu
from services.deployment import attempts
from services.deployment.attempts import Attempt
from services.deployment.endings import Ending
from services.runtime.children import LaunchFailed, NeverStarted, Starting, host
from services.runtime.nodes.leasing import visible
from services.runtime.settings import ENVIRONMENT_NAMES

_LOOK = 0.01  # seconds between looks at a command that is just being started
_WITHIN = 10.0
_OWN_PREFIXES = ("NATS_", "TRAINLEDGER_")
# It would move vLLM's own ports; the other two say which GPU there is.
_REPLACED = ("VLLM_PORT", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


async def launch(attempt: Attempt, placed: DeploymentPlaced, workdir: Path) -> Ending | None:
    """Returns once its wrapper has begun; why it did not, where it never will."""
    try:
        await asyncio.to_thread(attempts.prepare, attempt)
        await asyncio.to_thread(host.launch, attempt, placed.argv, _environment(placed), workdir)
    except (LaunchFailed, OSError) as failure:
        if await asyncio.to_thread(host.prevent, attempt):
            reason = failure.reason.zh if isinstance(failure, LaunchFailed) else str(failure)
            return Ending(cause="launch", reason=reason)
    deadline = time.monotonic() + _WITHIN
    while isinstance(await asyncio.to_thread(host.look, attempt), NeverStarted):
        if time.monotonic() > deadline and await asyncio.to_thread(host.prevent, attempt):
            return Ending(cause="launch", reason="启动包装进程没有响应，服务未启动")
        await asyncio.sleep(_LOOK)
    return None


async def begun(attempt: Attempt) -> None:
    """Returns once its wrapper has started the command, or found that it cannot."""
    while isinstance(await asyncio.to_thread(host.look, attempt), Starting):  # noqa: ASYNC110 - no task of ours
        await asyncio.sleep(_LOOK)


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
