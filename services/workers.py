"""The training service and the projector in one process, which is what one machine wants."""

from __future__ import annotations

import asyncio

from services.projector.main import run as project
from services.runtime.settings import Settings
from services.training.main import run as train


async def run(settings: Settings) -> None:
    """Serves until cancelled; where one of the two ends with an error, so does the other."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(project(settings), name="projector")
            tasks.create_task(train(settings), name="training")
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
