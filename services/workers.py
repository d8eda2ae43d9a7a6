"""The training service and the projector in one process, which is what one machine wants."""

from __future__ import annotations

import asyncio

from services.projector import main as projector
from services.runtime.settings import Settings
from services.training import main as training


async def run(settings: Settings) -> None:
    """Serves until cancelled; where one of the two ends with an error, so does the other."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(projector.run(settings), name="projector")
            tasks.create_task(training.run(settings), name="training")
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
