"""What the training service tells the ledger: commands whose ids derive from what they report, so each counts once."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID, uuid5

from contracts.command import Command
from events.event import Origin, Recorded
from events.log import LogUnavailable
from services.runtime.dispatch import Accepted, Dispatch

ACTOR = "service:training"
_LONGEST_PAUSE = 5.0

_log = logging.getLogger(__name__)


class Reports:
    """Reports of one run. Each is repeated until the log has it, under the same command id."""

    def __init__(self, dispatch: Dispatch, run_id: UUID, requested: Recorded) -> None:
        self._dispatch = dispatch
        self._run_id = run_id
        self._requested = requested

    async def __call__(self, command: Command, what: str) -> Accepted:
        return await self.under(command, uuid5(self._run_id, what))

    async def under(self, command: Command, command_id: UUID) -> Accepted:
        asked = self._requested.meta
        origin = Origin(
            actor=ACTOR,
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
                _log.warning("report %s of run %s has to wait: %s", type(command).__name__, self._run_id, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
