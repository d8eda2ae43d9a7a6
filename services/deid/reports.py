"""What the de-identification service tells the ledger: commands whose ids derive from what they report."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID, uuid5

from contracts.command import Command
from events.event import Origin, Recorded
from events.log import LogUnavailable
from services.runtime.dispatch import Accepted, Dispatch

ACTOR = "service:deid"
_LONGEST_PAUSE = 5.0

_log = logging.getLogger(__name__)


class Reports:
    """Reports of one job. Each is repeated until the log has it, under the same command id."""

    def __init__(self, dispatch: Dispatch, job_id: UUID, requested: Recorded) -> None:
        self._dispatch = dispatch
        self._job_id = job_id
        self._requested = requested

    async def __call__(self, command: Command, command_id: UUID | None = None) -> Accepted:
        """Raises Refused, which asking again would not change."""
        asked = self._requested.meta
        origin = Origin(
            actor=ACTOR,
            command_id=command_id or uuid5(self._job_id, type(command).__name__),
            correlation_id=asked.origin.correlation_id or str(asked.origin.command_id),
            causation_id=str(asked.id),
            traceparent=asked.origin.traceparent,
        )
        pause = 0.1
        while True:
            try:
                return await self._dispatch(command, origin)
            except LogUnavailable as error:
                _log.warning("report %s of job %s has to wait: %s", type(command).__name__, self._job_id, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
