"""The loops of the projector."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

import nats.errors
import nats.js.errors
from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from events.event import Recorded
from events.log import EventLog, LogReplaced
from events.runs import RunCanceled, RunCompleted, RunFact, RunFailed
from projections.database import Database
from projections.folding import fold
from projections.ownership import empty_facts
from projections.positions import NotPrepared, Overtaken, advance, claimed_position, expect_rebuild
from projections.tables import FACTS, TELEMETRY
from projections.telemetry import StoredTelemetry, append_telemetry
from services.projector.gathering import gathered
from services.projector.telemetry import Extent
from services.runtime.ending import end

_log = logging.getLogger(__name__)

# In one transaction. Keys are scattered, so a rebuild writes the same pages again with every transaction.
_MOST_FACTS = 10_000
_MOST_LINES = 10_000  # and points: whoever follows a run live sees nothing of them before the commit

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_LOOK = 1.0  # seconds between looks at whether the tables are still where they were left

_ENDS = (RunCompleted, RunFailed, RunCanceled)

# What a database says while it is away, starting, stopping or at odds with another transaction.
_PASSING = (OperationalError, InterfaceError, InternalError, NotPrepared)

T = TypeVar("T")


def _lines_in(stored: StoredTelemetry) -> int:
    return 1 if stored.batch is None else 1 + len(stored.batch.lines) + len(stored.batch.points)


class TelemetrySource(Protocol):
    """Where telemetry comes from; `TelemetryStream` is the real one."""

    def follow(self, after: int) -> AsyncGenerator[list[StoredTelemetry], None]: ...

    async def extent(self) -> Extent: ...


class Projector:
    """Keeps the tables of a prepared database up to the log and the telemetry.

    `announce` is told the position after every commit of facts, `announce_runs` after every commit of which runs there
    is more to read. `telemetry_patience` bounds, in seconds, how long the
    end of a run is held back until the run's last lines are in the tables.
    A database that is away is waited for; any other error ends `run`, with the position where the tables are.
    """

    def __init__(
        self,
        log: EventLog,
        telemetry: TelemetrySource,
        database: Database,
        announce: Callable[[int], Awaitable[None]],
        announce_runs: Callable[[Collection[UUID]], Awaitable[None]] | None = None,
        *,
        telemetry_patience: float = 5.0,
    ) -> None:
        self._log = log
        self._telemetry = telemetry
        self._database = database
        self._announce = announce
        self._announce_runs = announce_runs
        self._patience = telemetry_patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="projector-sql")
        self._folded = 0  # the position of the facts that are in the tables
        self._heard = 0  # the telemetry position that is in the tables
        self._heard_more = asyncio.Condition()
        self._waived = 0  # the telemetry position that a run's end was not held back for any longer

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._follow_facts(), name="projector: facts")
                loops.create_task(self._follow_telemetry(), name="projector: telemetry")
        finally:
            await asyncio.to_thread(self._thread.shutdown)

    async def _follow_facts(self) -> None:
        while True:
            position, last = await self._position(FACTS), await self._log.last_position()
            if position > last:
                # The same ledger with less in it: restored from a backup.
                _log.warning("the tables are at position %d, beyond the end of the log: they are rebuilt", position)
                await self._persist(empty_facts)
                continue
            await self._persist(partial(expect_rebuild, last=last))
            await self._announce(position)
            self._folded = position
            folding = asyncio.create_task(self._fold_from(position), name="projector: folding")
            watching = asyncio.create_task(self._watch_tables(), name="projector: watching")
            try:
                done, _ = await asyncio.wait((folding, watching), return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    with contextlib.suppress(Overtaken):
                        task.result()
            finally:
                with contextlib.suppress(Overtaken):
                    await end(folding, watching)
            _log.info("the tables were moved by another: a rebuild, or a second projector")

    async def _fold_from(self, position: int) -> None:
        """Raises Overtaken."""
        async with contextlib.aclosing(gathered(self._log.follow(position), _MOST_FACTS)) as batches:
            async for batch in batches:
                self._folded = position = await self._apply(batch, position)

    async def _watch_tables(self) -> None:
        """Notices tables that were emptied or restored, of which only the next fact would tell. Raises Overtaken."""
        while True:
            await asyncio.sleep(_LOOK)
            folded = self._folded  # before asking: facts are folded meanwhile
            if await self._position(FACTS) < folded:
                raise Overtaken

    async def _apply(self, batch: Sequence[Recorded], position: int) -> int:
        """Folds a batch, the end of a run not before its telemetry. Returns the new position."""
        begin = 0
        for index, recorded in enumerate(batch):
            if isinstance(recorded.fact, _ENDS):
                needed = recorded.fact.telemetry
                if needed > self._heard >= self._waived:
                    position = await self._fold(batch[begin:index], position)
                    begin = index
                    await self._wait_for_telemetry(needed)
        return await self._fold(batch[begin:], position)

    async def _fold(self, facts: Sequence[Recorded], position: int) -> int:
        if not facts:
            return position
        new = await self._persist(lambda connection: fold(connection, facts, position))
        await self._announce(new)
        await self._tell_runs(fact.meta.aggregate_id for fact in facts if fact.meta.context == RunFact.context)
        return new

    async def _tell_runs(self, ids: Iterable[UUID]) -> None:
        if self._announce_runs is not None and (changed := set(ids)):
            await self._announce_runs(changed)

    async def _wait_for_telemetry(self, needed: int) -> None:
        try:
            async with asyncio.timeout(self._patience):
                first, last = await self._telemetry.extent()
                if first <= needed <= last:
                    async with self._heard_more:
                        await self._heard_more.wait_for(lambda: self._heard >= needed)
                    return
                reason = "the stream does not hold it (any more)"
        except TimeoutError:
            reason = f"it did not come in {self._patience} s"
        except (nats.errors.Error, nats.js.errors.Error) as error:
            reason = f"the stream does not answer: {error!r}"
        self._waived = needed
        _log.warning("a run ends before telemetry up to position %d: %s", needed, reason)

    async def _follow_telemetry(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            position = await self._position(TELEMETRY)
            await self._tell_heard(position)
            try:
                async with contextlib.aclosing(
                    gathered(self._telemetry.follow(position), _MOST_LINES, _lines_in)
                ) as batches:
                    async for batch in batches:
                        position = await self._append(batch, position)
                        pause = _FIRST_PAUSE
            except Overtaken:
                continue
            except LogReplaced:
                pause = await self._restart_telemetry(position, pause)

    async def _append(self, batch: Sequence[StoredTelemetry], position: int) -> int:
        new = await self._persist(lambda connection: append_telemetry(connection, batch, position))
        await self._tell_heard(new)
        await self._tell_runs(stored.batch.run_id for stored in batch if stored.batch is not None)
        return new

    async def _tell_heard(self, position: int) -> None:
        async with self._heard_more:
            self._heard = position
            self._heard_more.notify_all()

    async def _restart_telemetry(self, position: int, pause: float) -> float:
        """After the stream was lost or replaced: the tables stay, and what the new one holds comes on top."""
        try:
            last = (await self._telemetry.extent()).last
        except (nats.errors.Error, nats.js.errors.Error) as error:
            _log.error("there is no telemetry: %r", error)
        else:
            if last < position:
                _log.warning("the telemetry stream was replaced by one of %d messages: it is read anew", last)
                with contextlib.suppress(Overtaken):
                    await self._persist(lambda connection: advance(connection, TELEMETRY, position, 0))
        await asyncio.sleep(pause)
        return min(2 * pause, _LONGEST_PAUSE)

    async def _position(self, stream: str) -> int:
        return await self._persist(lambda connection: claimed_position(connection, stream))

    async def _persist(self, work: Callable[[Connection], T]) -> T:
        """Runs a transaction in the one SQL thread, again and again while the database is away."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)
            except _PASSING as error:
                reason = " ".join(str(getattr(error, "orig", error)).split())
                _log.error("%s: %s; again in %.1f s", self._database.name, reason, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self._database.writing() as connection:
            return work(connection)
