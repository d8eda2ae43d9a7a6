"""What the training service tells the ledger."""

from __future__ import annotations

from uuid import UUID

from events.event import Recorded
from services.runtime import reporting
from services.runtime.dispatch import Dispatch

ACTOR = "service:training"


class Reports(reporting.Reports):
    """Reports of one run."""

    def __init__(self, dispatch: Dispatch, run_id: UUID, requested: Recorded) -> None:
        super().__init__(dispatch, run_id, requested, ACTOR)
