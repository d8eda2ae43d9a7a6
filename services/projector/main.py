"""The projector as a process's part."""

from __future__ import annotations

from services.projector.service import project
from services.runtime import wiring
from services.runtime.settings import Settings


async def run(settings: Settings) -> None:
    """Keeps the read models until cancelled. Raises SettingRefused, NotReachable and events.log.LogUnavailable."""
    with wiring.database(settings) as database:
        async with wiring.bus(settings, "projector") as nc:
            await project(nc, database)
