"""Removes every live deployment of a data directory, by the same commands that a client would send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID, uuid4

from contracts.deployments import RemoveDeployment
from contracts.problems import Refused
from events.event import Origin
from events.log import EventLog
from services.runtime.checkpoints import Checkpoint, read_checkpoint
from services.runtime.commands import DEPLOYMENTS
from services.runtime.dispatch import Dispatch, load


async def stop_all_deployments(
    log: EventLog, dispatch: Dispatch, data_dir: Path, actor: str, timeout: float
) -> dict[UUID, bool]:
    """Asks for the end of all, killed where they do not end, and waits `timeout` seconds.

    Of each that was live, whether it is over by then.

    The deployment service has to run: it is the one that ends processes. Raises LogUnavailable.
    """
    known = (await asyncio.to_thread(read_checkpoint, data_dir / "deployment.json", Checkpoint)).live
    live = left = await _not_removed(log, known)
    for deployment_id in live:
        command = RemoveDeployment(deployment_id=deployment_id, force=True)
        try:
            await dispatch(command, Origin(actor=actor, command_id=uuid4()))
        except Refused as refused:
            if refused.code != "deployment_not_found":
                raise
    deadline = asyncio.get_running_loop().time() + timeout
    while left and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.1)
        left = await _not_removed(log, left)
    return {deployment_id: deployment_id not in left for deployment_id in live}


async def _not_removed(log: EventLog, deployments: Iterable[UUID]) -> list[UUID]:
    return [found for found in deployments if not (await load(log, DEPLOYMENTS, found)).state.removed]
