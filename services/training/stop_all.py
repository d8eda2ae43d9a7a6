"""Cancels every live run of a data directory, by the same commands that a client would send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID, uuid4

from contracts.problems import Refused
from contracts.runs import CancelRun
from events.event import Origin
from events.log import EventLog
from services.runtime.checkpoints import Checkpoint, read_checkpoint
from services.runtime.commands import RUNS
from services.runtime.dispatch import Dispatch, load


async def stop_all_runs(
    log: EventLog, dispatch: Dispatch, data_dir: Path, actor: str, timeout: float
) -> dict[UUID, bool]:
    """Asks for the end of all and waits `timeout` seconds; of each that was live, whether it is over by then.

    The training service has to run: it is the one that ends processes. Raises LogUnavailable.
    """
    known = (await asyncio.to_thread(read_checkpoint, data_dir / "training.json", Checkpoint)).live
    live = left = await _not_ended(log, known)
    for run_id in reversed(live):  # those that wait first, so that no end lets another one begin
        await _cancel(log, dispatch, run_id, actor)
    deadline = asyncio.get_running_loop().time() + timeout
    while left and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.1)
        left = await _not_ended(log, left)
    return {run_id: run_id not in left for run_id in live}


async def _cancel(log: EventLog, dispatch: Dispatch, run_id: UUID, actor: str) -> None:
    run = (await load(log, RUNS, run_id)).state
    if run.status is None or run.ended:
        return
    try:
        await dispatch(CancelRun(project=str(run.project_id), run_id=run_id), Origin(actor=actor, command_id=uuid4()))
    except Refused as refused:
        if refused.code != "run_ended":
            raise


async def _not_ended(log: EventLog, runs: Iterable[UUID]) -> list[UUID]:
    return [run_id for run_id in runs if not (await load(log, RUNS, run_id)).state.ended]
