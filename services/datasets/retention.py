"""Has uploads removed that were kept for as long as their dataset says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

from contracts.datasets import ExpireDatasetFiles
from contracts.problems import Refused
from events.event import Origin
from events.log import LogUnavailable
from services.runtime.dispatch import Dispatch

_ACTOR = "service:datasets"
_LOOK = 600.0

_log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Retention:
    """Asks for it again and again, and soon after a dataset was added; what is due is decided from its facts.

    `look` is the time between two rounds in seconds, `now` the moment by which uploads are due.
    """

    def __init__(self, dispatch: Dispatch, *, look: float = _LOOK, now: Callable[[], datetime] = _now) -> None:
        self._dispatch = dispatch
        self._look = look
        self._now = now
        self._datasets: dict[UUID, None] = {}
        self._added = asyncio.Event()

    @property
    def datasets(self) -> tuple[UUID, ...]:
        return tuple(self._datasets)

    def add(self, dataset_id: UUID) -> None:
        self._datasets[dataset_id] = None
        self._added.set()

    def discard(self, dataset_id: UUID) -> None:
        self._datasets.pop(dataset_id, None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._added.clear()
            for dataset_id in self.datasets:
                await self._expire(dataset_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look):
                    await self._added.wait()

    async def _expire(self, dataset_id: UUID) -> None:
        command = ExpireDatasetFiles(dataset_id=dataset_id, at=self._now())
        try:
            await self._dispatch(command, Origin(actor=_ACTOR, command_id=uuid4()))
        except (LogUnavailable, Refused) as error:
            _log.warning("the uploads of dataset %s that are due stay for now: %s", dataset_id, error)
