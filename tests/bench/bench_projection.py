"""How many facts a second a rebuild folds: beside what driver and client alone do, in the same run."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import nats
import uvloop
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig
from sqlalchemy import select

from events.event import Recorded
from events.log import Change, EventLog, subjects
from events.log.connection import connect
from events.log.jetstream import JetStreamLog
from events.log.memory import MemoryLog
from events.log.streams import EVENTS, ensure_streams
from projections.database import Database, open_database
from projections.ownership import prepare
from projections.tables import fact_tables
from projections.telemetry import StoredTelemetry
from services.projector.projector import Projector
from services.projector.telemetry import Extent
from services.runtime.process import collect_less_garbage
from tests.nats_server import NatsServer
from tests.projections.histories import ORIGIN, realistic

FACTS = 200_000
_APPENDED = 1_000  # facts in one append
_PULLED = 20_000  # messages by nats-py alone
_FETCHED = 1_000  # of them at once
_BATCH = 10_000  # rows in a transaction of the driver alone


class Took(NamedTuple):
    """Seconds that passed, and those that this process's threads worked in them."""

    wall: float
    processor: float

    def tell(self, what: str, count: int) -> None:
        each = f"{1e6 * self.processor / count:.1f} µs of processor each"
        print(f"{what:48}{count / self.wall:>10,.0f}/s {each:>32}", flush=True)


def now() -> Took:
    return Took(time.perf_counter(), time.process_time())


def since(start: Took) -> Took:
    return Took(*(after - before for before, after in zip(start, now(), strict=True)))


class _Silence:
    """Telemetry that says nothing."""

    async def follow(self, _: int) -> AsyncGenerator[list[StoredTelemetry], None]:
        await asyncio.Event().wait()
        yield []

    async def extent(self) -> Extent:
        return Extent(1, 0)


async def append_all(log: EventLog, facts: Sequence[Recorded]) -> None:
    """Appends in bulk, so the facts of one append are in the order of their aggregates."""
    heads: dict[UUID, tuple[int, int]] = {}

    def aggregate_id(recorded: Recorded) -> UUID:
        return recorded.meta.aggregate_id

    for first in range(0, len(facts), _APPENDED):
        changes = []
        for key, group in groupby(sorted(facts[first : first + _APPENDED], key=aggregate_id), aggregate_id):
            of_one = list(group)
            expected, version = heads.get(key, (0, 0))
            changes.append(
                Change(
                    context=of_one[0].meta.context,
                    aggregate_id=key,
                    facts=tuple(recorded.fact for recorded in of_one),
                    expected=expected,
                    version=version,
                )
            )
        for recorded in await log.append(*changes, origin=ORIGIN):
            heads[recorded.meta.aggregate_id] = (recorded.meta.position, recorded.meta.version)


async def rebuild(log: EventLog, last: int, database: Database) -> Took:
    """From empty tables to the last fact: reading, decoding, folding, writing."""
    done = asyncio.Event()

    async def announce(position: int) -> None:
        if position == last:
            done.set()

    collect_less_garbage()  # as every service process does; what the bench made is not the projector's to look through
    started = now()
    running = asyncio.create_task(Projector(log, _Silence(), database, announce).run())
    ended = asyncio.create_task(done.wait())
    await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
    took = since(started)
    if not ended.done():
        await running
    running.cancel()
    await asyncio.wait({running})
    return took


async def pull_alone(nc: Client) -> Took:
    """Messages that are only pulled."""
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True)
    subscription = await nc.jetstream().pull_subscribe(subjects.ALL, stream=EVENTS, config=config)
    started = now()
    pulled = 0
    while pulled < _PULLED:
        pulled += len(await subscription.fetch(min(_FETCHED, _PULLED - pulled)))
    return since(started)


def write_by_driver_alone(database: Database, path: Path) -> tuple[int, Took]:
    """How many rows the rebuild left, and what sqlite3 takes to insert them into equal tables."""
    rows = {}
    with database.reading() as connection:
        definitions = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").scalars().all()
        for table in fact_tables.sorted_tables:
            rows[table.name] = [tuple(row) for row in connection.execute(select(table).order_by(table.c.since))]
    driver = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-32000", "wal_autocheckpoint=8000"):
        driver.execute(f"PRAGMA {setting}")
    for definition in definitions:
        driver.execute(definition)
    started = now()
    for name, values in rows.items():
        if not values:  # the history has no facts of that table
            continue
        places = ",".join("?" * len(values[0]))
        for first in range(0, len(values), _BATCH):
            driver.execute("BEGIN IMMEDIATE")
            driver.executemany(f"INSERT INTO {name} VALUES ({places})", values[first : first + _BATCH])
            driver.execute("COMMIT")
    took = since(started)
    driver.close()
    return sum(map(len, rows.values())), took


async def bench_projection(nc: Client, bare: Client, facts: int = FACTS) -> None:
    """Prints the rates; appends to `nc`'s empty server, whose client `bare` is as nats-py makes it."""
    await ensure_streams(nc.jetstream())
    history = realistic(facts)
    with tempfile.TemporaryDirectory() as directory:
        logs: dict[str, EventLog] = {"the log in memory": MemoryLog(), "JetStream": JetStreamLog(nc)}
        for number, (name, log) in enumerate(logs.items()):
            await append_all(log, history)
            last = await log.last_position()
            database = open_database(f"sqlite:///{Path(directory) / f'{number}.db'}")
            prepare(database, "bench")
            (await rebuild(log, last, database)).tell(f"facts of a rebuild from {name}", facts)
            if number == 0:
                rows, alone = await asyncio.to_thread(write_by_driver_alone, database, Path(directory) / "alone.db")
                alone.tell("its rows by sqlite3 executemany alone", rows)
            database.close()
    (await pull_alone(bare)).tell("the same messages pulled by nats-py alone", _PULLED)


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = NatsServer(Path(directory))
        server.start()
        try:
            nc, bare = await connect(server.url), await nats.connect(server.url)
            await bench_projection(nc, bare)
            await bare.close()
            await nc.close()
        finally:
            server.stop()


if __name__ == "__main__":
    uvloop.run(main())
