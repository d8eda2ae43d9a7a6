"""The loops of the projector: on the log in memory and telemetry of the test's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from contracts.telemetry import LogLine, TelemetryBatch
from events.event import Event
from events.log import Change, LogReplaced
from events.log.memory import MemoryLog
from events.runs import RunAssigned, RunCompleted, RunStarted
from projections.database import Database, open_database
from projections.ownership import rebuild
from projections.positions import claimed_position, expect_rebuild
from projections.positions import projected as projected_now
from projections.queries.runs import run_detail, run_status
from projections.tables import TELEMETRY
from projections.telemetry import StoredTelemetry
from services.projector.projector import Projector
from services.projector.telemetry import Extent
from tests.projections.conftest import LEDGER
from tests.projections.histories import ORIGIN, identify, project_created, realistic, run_requested
from tests.projections.tables import ask, checksum_at, fold_all, projected_position

PROJECT, RUN = identify("project"), identify("run")
WITHIN = 30.0

T = TypeVar("T")


class Telemetry:
    """A telemetry stream in memory; `gate` holds back what it has."""

    def __init__(self) -> None:
        self.messages: list[StoredTelemetry] = []
        self.first = 1
        self.gate = asyncio.Event()
        self.gate.set()
        self.replaced = asyncio.Event()
        self._grown = asyncio.Condition()

    async def say(self, *lines: str) -> int:
        """Stores one batch of the run's first attempt; returns its position."""
        position = len(self.messages) + 1
        start = 100 * position
        found = tuple(LogLine(start + number, 1_700_000_000.0, "INFO", line) for number, line in enumerate(lines))
        batch = TelemetryBatch(run_id=RUN, attempt=1, start=start, end=start + 100, lines=found)
        async with self._grown:
            self.messages.append(StoredTelemetry(position, datetime.now(UTC), batch))
            self._grown.notify_all()
        return position

    async def follow(self, after: int) -> AsyncGenerator[list[StoredTelemetry], None]:
        if self.replaced.is_set() and after > len(self.messages):
            raise LogReplaced("another stream")
        while True:
            async with self._grown:
                await self._grown.wait_for(lambda: len(self.messages) > after)  # noqa: B023, awaited here
            await self.gate.wait()
            batch = self.messages[after:]
            after = len(self.messages)
            yield batch

    async def extent(self) -> Extent:
        return Extent(self.first, len(self.messages))


class Announced:
    def __init__(self) -> None:
        self.positions: list[int] = []
        self._more = asyncio.Condition()

    async def __call__(self, position: int) -> None:
        async with self._more:
            self.positions.append(position)
            self._more.notify_all()

    async def until(self, condition: Callable[[list[int]], bool]) -> None:
        async with asyncio.timeout(WITHIN), self._more:
            await self._more.wait_for(lambda: condition(self.positions))

    async def reach(self, position: int) -> None:
        await self.until(lambda positions: position in positions)


class Ledger:
    """Appends to a log without a care for decisions."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self._heads: dict[UUID, tuple[int, int]] = {}

    async def append(self, aggregate_id: UUID, *facts: Event) -> int:
        expected, version = self._heads.get(aggregate_id, (0, 0))
        change = Change(
            context=facts[0].context, aggregate_id=aggregate_id, facts=facts, expected=expected, version=version
        )
        position = (await self.log.append(change, origin=ORIGIN))[-1].meta.position
        self._heads[aggregate_id] = (position, version + len(facts))
        return position

    async def start_run(self) -> int:
        await self.append(PROJECT, project_created())
        return await self.append(
            RUN, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1)
        )


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@asynccontextmanager
async def projecting(
    ledger: Ledger, telemetry: Telemetry, database: Database, patience: float = WITHIN
) -> AsyncIterator[Announced]:
    announced = Announced()
    projector = Projector(ledger.log, telemetry, database, announced, telemetry_patience=patience)
    running = asyncio.create_task(projector.run())
    try:
        yield announced
    finally:
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled(), running.exception()


async def in_thread(database: Database, question: Callable[[Connection], T]) -> T:
    return await asyncio.to_thread(ask, database, question)


async def until(database: Database, question: Callable[[Connection], T], holds: Callable[[T], bool]) -> None:
    """Waits for what no signal tells: a state of the database."""
    async with asyncio.timeout(WITHIN):
        while True:
            if holds(await in_thread(database, question)):
                return
            await asyncio.sleep(0.01)


def telemetry_position(connection: Connection) -> int:
    return claimed_position(connection, TELEMETRY)


async def heard(database: Database, position: int) -> None:
    await until(database, telemetry_position, lambda reached: reached >= position)


async def projected(database: Database, position: int) -> None:
    await until(database, projected_position, lambda reached: reached >= position)


async def messages_of(database: Database) -> list[str]:
    detail = await in_thread(database, lambda connection: run_detail(connection, RUN))
    assert detail is not None
    return [entry.message for entry in detail.logs]


async def test_facts_are_in_the_tables_when_they_are_announced(
    ledger: Ledger, telemetry: Telemetry, database: Database
) -> None:
    async with projecting(ledger, telemetry, database) as announced:
        await announced.reach(0)
        position = await ledger.start_run()
        await announced.reach(position)
        assert await in_thread(database, projected_position) == position
        assert await in_thread(database, lambda connection: run_status(connection, RUN)) == "running"


async def test_it_goes_on_where_it_stopped(ledger: Ledger, telemetry: Telemetry, database: Database) -> None:
    async with projecting(ledger, telemetry, database) as announced:
        await ledger.append(PROJECT, project_created())
        await announced.reach(1)
        await telemetry.say("one")
        await heard(database, 1)
    await telemetry.say("two")
    position = await ledger.append(RUN, run_requested(PROJECT))
    async with projecting(ledger, telemetry, database) as announced:
        await announced.reach(position)
        assert announced.positions == [1, 2]
        await heard(database, 2)
    assert (await messages_of(database))[1:] == ["one", "two"]


async def test_a_run_does_not_end_before_its_last_line(
    ledger: Ledger, telemetry: Telemetry, database: Database
) -> None:
    started = await ledger.start_run()
    telemetry.gate.clear()
    last = await telemetry.say("the last line")
    async with projecting(ledger, telemetry, database) as announced:
        end = await ledger.append(RUN, RunCompleted(attempt=1, output_bytes=9, output_sha256=None, telemetry=last))
        await announced.reach(started)
        assert await in_thread(database, lambda connection: run_status(connection, RUN)) == "running"
        telemetry.gate.set()
        await announced.reach(end)
        assert (await messages_of(database))[-2:] == ["the last line", "训练已完成"]


async def test_telemetry_that_does_not_come_holds_up_no_run_for_long(
    ledger: Ledger, telemetry: Telemetry, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await ledger.start_run()
    telemetry.gate.clear()
    last = await telemetry.say("held back")
    async with projecting(ledger, telemetry, database, patience=0.05) as announced:
        end = await ledger.append(RUN, RunCompleted(attempt=1, output_bytes=9, output_sha256=None, telemetry=last))
        await announced.reach(end)
        assert "it did not come" in caplog.text
        telemetry.gate.set()
        await heard(database, last)
    assert "held back" in await messages_of(database)


@pytest.mark.parametrize(("first", "needed"), [(5, 3), (1, 9)])
async def test_telemetry_that_the_stream_does_not_hold_is_not_waited_for(
    ledger: Ledger, telemetry: Telemetry, database: Database, first: int, needed: int
) -> None:
    await ledger.start_run()
    telemetry.gate.clear()
    await telemetry.say("held back")
    telemetry.first = first
    async with projecting(ledger, telemetry, database, patience=600) as announced:
        end = await ledger.append(RUN, RunCompleted(attempt=1, output_bytes=9, output_sha256=None, telemetry=needed))
        await announced.reach(end)


async def test_a_database_that_is_away_is_waited_for(
    ledger: Ledger,
    telemetry: Telemetry,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with projecting(ledger, telemetry, database) as announced:
        await announced.reach(0)
        writing, failures = database.writing, iter(range(3))

        def failing() -> Any:
            if next(failures, None) is not None:
                raise OperationalError("UPDATE", {}, OSError("the server closed the connection"))
            return writing()

        monkeypatch.setattr(database, "writing", failing)
        position = await ledger.start_run()
        await announced.reach(position)
    assert "the server closed the connection" in caplog.text


_END_CONNECTIONS = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
}


def end_connections(database: Database) -> None:
    with database.reader.connect() as connection:
        ids = connection.execute(text(_END_CONNECTIONS[database.dialect])).scalars().all()
        if database.dialect == "mysql":
            for each in ids:
                connection.execute(text(f"KILL {each}"))


async def test_lost_connections_are_made_anew(ledger: Ledger, telemetry: Telemetry, database: Database) -> None:
    if database.dialect == "sqlite":
        pytest.skip("a file has no connections to lose")
    async with projecting(ledger, telemetry, database) as announced:
        await announced.reach(0)
        for number in range(5):
            await asyncio.to_thread(end_connections, database)
            position = await ledger.append(identify("project", number), project_created(number))
            await announced.reach(position)


async def test_two_projectors_harm_nothing(
    ledger: Ledger, telemetry: Telemetry, database: Database, database_url: str
) -> None:
    facts = realistic(400, projects=5, at_once=5)
    second = open_database(database_url)
    async with (
        projecting(ledger, telemetry, database) as announced,
        projecting(ledger, telemetry, second) as announced_too,
    ):
        last = 0
        for number, recorded in enumerate(facts, 1):
            last = await ledger.append(recorded.meta.aggregate_id, recorded.fact)
            await telemetry.say(f"line {number}")
            if number % 20 == 0:  # both see small batches, and race for each
                both = [announced.until(lambda p: max(p) >= last), announced_too.until(lambda p: max(p) >= last)]  # noqa: B023
                waiting = [asyncio.ensure_future(each) for each in both]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for each in waiting:
                    each.cancel()
        await heard(database, 400)
        await projected(database, last)
    second.close()
    raced = await asyncio.to_thread(checksum_at, database, last)
    await asyncio.to_thread(rebuild, database, LEDGER)
    follower = [batch async for batch in first_of(ledger, last)]
    await asyncio.to_thread(fold_all, database, [recorded for batch in follower for recorded in batch])
    assert await asyncio.to_thread(checksum_at, database, last) == raced


async def first_of(ledger: Ledger, last: int) -> AsyncIterator[list[Any]]:
    async for batch in ledger.log.follow(0):
        yield batch
        if batch[-1].meta.position >= last:
            return


async def test_a_rebuild_under_a_running_projector(
    ledger: Ledger, telemetry: Telemetry, database: Database, database_url: str
) -> None:
    async with projecting(ledger, telemetry, database) as announced:
        started = await ledger.start_run()
        await telemetry.say("kept")
        await announced.reach(started)
        await heard(database, 1)
        before = await asyncio.to_thread(checksum_at, database, started)
        other = open_database(database_url)
        told = len(announced.positions)
        await asyncio.to_thread(rebuild, other, LEDGER)
        other.close()
        await announced.until(lambda positions: started in positions[told:])  # although nothing more was appended
        assert await asyncio.to_thread(checksum_at, database, started) == before
        position = await ledger.append(identify("another"), project_created(2))
        await announced.reach(position)
        assert await asyncio.to_thread(checksum_at, database, started) == before
        assert "kept" in await messages_of(database)


async def test_a_log_that_was_restored_from_a_backup_is_folded_anew(
    ledger: Ledger, telemetry: Telemetry, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(fold_all, database, realistic(100, projects=5, at_once=5))
    position = await ledger.start_run()
    with caplog.at_level(logging.WARNING):
        async with projecting(ledger, telemetry, database) as announced:
            await announced.reach(position)
            assert await in_thread(database, projected_position) == position
            assert await in_thread(database, projected_now) == (position, position)
    assert "beyond the end of the log" in caplog.text


async def test_a_rebuild_ends_where_a_restored_log_does(
    ledger: Ledger, telemetry: Telemetry, database: Database
) -> None:
    await asyncio.to_thread(fold_all, database, realistic(100, projects=5, at_once=5))
    await asyncio.to_thread(rebuild, database, LEDGER)
    assert (await in_thread(database, projected_now)).rebuilt_to == 100
    position = await ledger.start_run()
    async with projecting(ledger, telemetry, database) as announced:
        await announced.reach(position)
        assert await in_thread(database, projected_now) == (position, position)


def test_tables_that_hold_nothing_yet_are_rebuilt_up_to_the_end_of_the_log(database: Database) -> None:
    with database.writing() as connection:
        expect_rebuild(connection, 4)
    assert ask(database, projected_now).is_rebuilding
    fold_all(database, realistic(4, projects=1, at_once=1))
    with database.writing() as connection:
        expect_rebuild(connection, 9)
    assert not ask(database, projected_now).is_rebuilding


async def test_a_telemetry_stream_that_was_replaced_is_read_anew(
    ledger: Ledger, telemetry: Telemetry, database: Database
) -> None:
    await ledger.start_run()
    async with projecting(ledger, telemetry, database):
        for number in range(3):
            await telemetry.say(f"old {number}")
        await heard(database, 3)
    successor = Telemetry()
    successor.replaced.set()
    async with projecting(ledger, successor, database):
        await until(database, telemetry_position, lambda reached: reached == 0)
        for number in range(4):
            await successor.say(f"old {number}")
        await heard(database, 4)
    assert (await messages_of(database))[2:] == ["old 0", "old 1", "old 2", "old 3"]


async def test_a_fault_of_its_own_ends_it_loudly(ledger: Ledger, telemetry: Telemetry, database: Database) -> None:
    await ledger.append(identify("unheard of"), RunStarted(attempt=1))

    async def announce(_: int) -> None:
        return

    with pytest.raises(ExceptionGroup) as group:
        async with asyncio.timeout(WITHIN):
            await Projector(ledger.log, telemetry, database, announce).run()
    assert group.group_contains(LookupError)
    assert await in_thread(database, projected_position) == 0
