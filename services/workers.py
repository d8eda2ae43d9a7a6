"""All that works on facts in one process, which is what one machine wants."""

from __future__ import annotations

import asyncio

from services.datasets.main import run as check_datasets
from services.deid.main import run as deidentify
from services.deployment.main import run as deploy
from services.projector.main import run as project
from services.runtime.settings import Settings
from services.training.main import run as train


async def run(settings: Settings) -> None:
    """Serves until cancelled; where one of them ends with an error, so do the others."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(project(settings), name="projector")
            tasks.create_task(train(settings), name="training")
            tasks.create_task(check_datasets(settings), name="datasets")
            tasks.create_task(deploy(settings), name="deployment")
            tasks.create_task(deidentify(settings), name="deid")
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
