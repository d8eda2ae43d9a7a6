"""What the de-identification service tells the ledger."""

from __future__ import annotations

from uuid import UUID

from contracts.command import Command
from events.event import Recorded
from services.runtime import reporting
from services.runtime.dispatch import Accepted, Dispatch

ACTOR = "service:deid"


class Reports(reporting.Reports):
    """Reports of one job, of which each kind is made once."""

    def __init__(self, dispatch: Dispatch, job_id: UUID, requested: Recorded) -> None:
        super().__init__(dispatch, job_id, requested, ACTOR)

    async def __call__(self, command: Command, what: str | None = None) -> Accepted:
        """Raises Refused, which asking again would not change."""
        return await super().__call__(command, what or type(command).__name__)
