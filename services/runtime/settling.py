"""Waits for runs to start, to be queued or to end, by one follower of the log for all who wait."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from events.event import Event, Recorded
from events.log import EventLog, LogReplaced, LogUnavailable, UnreadableFact
from events.runs import RunCanceled, RunCompleted, RunFact, RunFailed, RunLaunchFailed, RunQueued, RunStarted
from services.runtime.ending import end

ENDED: tuple[type[Event], ...] = (RunCompleted, RunFailed, RunCanceled, RunLaunchFailed)
LAUNCHED: tuple[type[Event], ...] = (RunStarted, RunQueued, *ENDED)

_PAUSE = 1.0

_logger = logging.getLogger(__name__)


class Runs:
    """Cheap however many wait: a fact is decoded once and wakes only those who wait for its run."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        after = await self._log.last_position()
        self._task = asyncio.create_task(self._follow(after), name="runs that are waited for")

    async def stop(self) -> None:
        await end(self._task)
        self._task = None

    async def fact(self, run_id: UUID, kinds: tuple[type[Event], ...], timeout: float) -> Recorded | None:
        """The first fact of one of these kinds that the run has, waited for; none when `timeout` seconds went by.

        Raises LogUnavailable.
        """
        woken = asyncio.Event()
        self._waiting.setdefault(run_id, set()).add(woken)
        try:
            async with asyncio.timeout(timeout):
                while (found := await self._look(run_id, kinds)) is None:
                    await woken.wait()
                    woken.clear()
                return found
        except TimeoutError:
            return await self._look(run_id, kinds)
        finally:
            waiting = self._waiting[run_id]
            waiting.discard(woken)
            if not waiting:
                del self._waiting[run_id]

    async def _look(self, run_id: UUID, kinds: tuple[type[Event], ...]) -> Recorded | None:
        for recorded in await self._log.read(RunFact.context, run_id):
            if isinstance(recorded.fact, kinds):
                return recorded
        return None

    async def _follow(self, after: int) -> None:
        while True:
            try:
                async for batch in self._log.follow(after, (RunFact.context,)):
                    for recorded in batch:
                        if isinstance(recorded.fact, LAUNCHED):
                            for woken in self._waiting.get(recorded.meta.aggregate_id, ()):
                                woken.set()
                    after = batch[-1].meta.position
            except LogReplaced as error:
                _logger.warning("following runs from the start: %s", error)
                after = 0
            except LogUnavailable as error:
                _logger.warning("following runs again: %s", error)
            except UnreadableFact as error:
                _logger.error("passing over a fact: %s", error)  # noqa: TRY400  # it says all there is
                after = error.position
            await asyncio.sleep(_PAUSE)
