"""Reports of the service's own parts: what dispatch needs for them, and how each counts once."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID, uuid5

from contracts.command import Command
from contracts.runs import AssetReport
from events.event import Origin, Recorded
from events.log import EventLog, LogUnavailable
from services.runtime.dispatch import Accepted, Dispatch
from services.runtime.gathering.sources import Sources
from services.runtime.settings import Settings

_LONGEST_PAUSE = 5.0

_log = logging.getLogger(__name__)


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


class Reports:
    """What `actor` reports of one aggregate, whose first fact is `requested`: repeated until the log has it.

    Ids of commands derive from what they report, so each counts once.
    """

    def __init__(self, dispatch: Dispatch, aggregate_id: UUID, requested: Recorded, actor: str) -> None:
        self._dispatch = dispatch
        self._aggregate_id = aggregate_id
        self._requested = requested
        self._actor = actor

    async def __call__(self, command: Command, what: str) -> Accepted:
        """Raises Refused."""
        return await self.under(command, uuid5(self._aggregate_id, what))

    async def under(self, command: Command, command_id: UUID) -> Accepted:
        asked = self._requested.meta
        origin = Origin(
            actor=self._actor,
            command_id=command_id,
            correlation_id=asked.origin.correlation_id or str(asked.origin.command_id),
            causation_id=str(asked.id),
            traceparent=asked.origin.traceparent,
        )
        pause = 0.1
        while True:
            try:
                return await self._dispatch(command, origin)
            except LogUnavailable as error:
                name = type(command).__name__
                _log.warning("report %s of %s has to wait: %s", name, self._aggregate_id, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
