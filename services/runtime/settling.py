"""Waits for facts, such as that a run started or ended, by one follower of the log for all who wait."""

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


class Facts:
    """Of one context. Cheap however many wait: a fact is decoded once and wakes only those who wait for its aggregate.

    `kinds` are those that anybody waits for.
    """

    def __init__(self, log: EventLog, context: str, kinds: tuple[type[Event], ...]) -> None:
        self._log = log
        self._context = context
        self._kinds = kinds
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        after = await self._log.last_position()
        self._task = asyncio.create_task(self._follow(after), name=f"{self._context} that are waited for")

    async def stop(self) -> None:
        await end(self._task)
        self._task = None

    async def fact(
        self, aggregate_id: UUID, kinds: tuple[type[Event], ...], timeout: float, *, after: int = 0
    ) -> Recorded | None:
        """The first fact of one of these kinds that the aggregate has above position `after`, waited for.

        None when `timeout` seconds went by. Raises LogUnavailable.
        """
        woken = asyncio.Event()
        self._waiting.setdefault(aggregate_id, set()).add(woken)
        try:
            async with asyncio.timeout(timeout):
                while (found := await self._look(aggregate_id, kinds, after)) is None:
                    await woken.wait()
                    woken.clear()
                return found
        except TimeoutError:
            return await self._look(aggregate_id, kinds, after)
        finally:
            waiting = self._waiting[aggregate_id]
            waiting.discard(woken)
            if not waiting:
                del self._waiting[aggregate_id]

    async def _look(self, aggregate_id: UUID, kinds: tuple[type[Event], ...], after: int) -> Recorded | None:
        for recorded in await self._log.read(self._context, aggregate_id):
            if isinstance(recorded.fact, kinds) and recorded.meta.position > after:
                return recorded
        return None

    async def _follow(self, after: int) -> None:
        while True:
            try:
                async for batch in self._log.follow(after, (self._context,)):
                    for recorded in batch:
                        if isinstance(recorded.fact, self._kinds):
                            for woken in self._waiting.get(recorded.meta.aggregate_id, ()):
                                woken.set()
                    after = batch[-1].meta.position
            except LogReplaced as error:
                _logger.warning("following %s from the start: %s", self._context, error)
                after = 0
            except LogUnavailable as error:
                _logger.warning("following %s again: %s", self._context, error)
            except UnreadableFact as error:
                _logger.error("passing over a fact: %s", error)  # noqa: TRY400  # it says all there is
                after = error.position
            await asyncio.sleep(_PAUSE)


class Runs(Facts):
    """Waits for runs to start, to be queued or to end."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(log, RunFact.context, LAUNCHED)
