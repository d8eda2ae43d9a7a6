"""What dispatch needs for reports of the service's own parts."""

from __future__ import annotations

from uuid import UUID

from contracts.runs import AssetReport
from events.log import EventLog
from services.runtime.gather import Sources
from services.runtime.settings import Settings


class _Nobody:
    """Reports ask neither people nor nodes."""

    async def ensure(self, name: str) -> UUID:
        raise NotImplementedError

    async def assets(self, names: tuple[str, ...]) -> AssetReport | None:
        raise NotImplementedError

    async def assets_of(self, node: str, names: tuple[str, ...], checkpoints: tuple[str, ...]) -> AssetReport | None:
        raise NotImplementedError


def report_sources(log: EventLog, settings: Settings) -> Sources:
    nobody = _Nobody()
    return Sources(
        log=log,
        people=nobody,
        nodes=nobody,
        start_command_template=settings.start_command_template,
        allow_start_command=settings.allow_start_command,
    )
