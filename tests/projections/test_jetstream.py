"""The projector as it runs: on a real JetStream, with its signals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.runs import RunDetail
from contracts.telemetry import LogLine, TelemetryBatch
from events.event import Event, Recorded
from events.log import Change
from events.log.connection import connect
from events.log.jetstream import JetStreamLog
from events.log.streams import TELEMETRY, ensure_streams
from events.runs import RunAssigned, RunCompleted, RunStarted
from projections.database import Database, DatabaseRefused
from projections.ownership import empty_facts, prepare
from projections.queries.runs import run_detail
from services.projector.service import project
from tests.nats_server import NatsServer
from tests.projections.histories import ORIGIN, identify, realistic, run_requested
from tests.projections.tables import ask, checksum_at, fold_all, projected_position
from tests.projections.test_projector import RUN, heard, messages_of, until

WITHIN = 60.0
PROJECT = identify("project")


@pytest.fixture
async def nc(nats_server: NatsServer) -> AsyncIterator[Client]:
    connection = await connect(nats_server.url, reconnect_time_wait=0.05)
    await ensure_streams(connection.jetstream())
    yield connection
    await connection.close()


class Signals:
    """Positions as the projector tells them to everybody."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[int] = asyncio.Queue()

    async def on_message(self, msg: Msg) -> None:
        self._arrived.put_nowait(int(msg.data))

    async def reach(self, position: int) -> None:
        while await self._arrived.get() < position:
            pass


@asynccontextmanager
async def projecting(nc: Client, database: Database) -> AsyncIterator[Signals]:
    signals = Signals()
    subscription = await nc.subscribe(subjects.PROJECTED, cb=signals.on_message)
    running = asyncio.create_task(project(nc, database))
    try:
        yield signals
    finally:
        running.cancel()
        await asyncio.wait({running})
        await subscription.unsubscribe()
        assert running.cancelled(), running.exception()


async def say(nc: Client, start: int, message: str) -> int:
    batch = TelemetryBatch(
        run_id=RUN, attempt=1, start=start, end=start + 10, lines=(LogLine(start, 1_700_000_000.0, "INFO", message),)
    )
    return (await nc.jetstream().publish(subjects.telemetry(RUN, 1), msgspec.json.encode(batch))).seq


async def append(nc: Client, *facts: Event, expected: int = 0, version: int = 0) -> int:
    change = Change(context="runs", aggregate_id=RUN, facts=facts, expected=expected, version=version)
    return (await JetStreamLog(nc).append(change, origin=ORIGIN))[-1].meta.position


@pytest.fixture
def empty(empty_database: Database) -> Database:
    return empty_database


async def test_a_run_with_its_output_and_the_signal_of_each_position(nc: Client, empty: Database) -> None:
    async with projecting(nc, empty) as signals, asyncio.timeout(WITHIN):
        started = await append(
            nc, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1)
        )
        await say(nc, 0, "first")
        await nc.jetstream().publish(subjects.telemetry(RUN, 1), b"not telemetry")
        last = await say(nc, 10, "last")
        end = RunCompleted(attempt=1, output_bytes=20, output_sha256=None, telemetry=last)
        position = await append(nc, end, expected=started, version=3)
        await signals.reach(position)
        assert (await messages_of(empty))[2:] == ["first", "last", "训练已完成"]


async def test_a_server_that_restarts_costs_nothing(nc: Client, nats_server: NatsServer, empty: Database) -> None:
    facts = realistic(300, projects=5, at_once=5)
    heads: dict[object, tuple[int, int]] = {}
    log = JetStreamLog(nc)
    async with projecting(nc, empty) as signals, asyncio.timeout(WITHIN):
        for number, recorded in enumerate(facts):
            if number in (100, 200):
                await say(nc, 10 * number, f"line {number}")
                await asyncio.to_thread(nats_server.kill)
                await asyncio.to_thread(nats_server.start)
            key = recorded.meta.aggregate_id
            expected, version = heads.get(key, (0, 0))
            change = Change(
                context=recorded.meta.context,
                aggregate_id=key,
                facts=(recorded.fact,),
                expected=expected,
                version=version,
            )
            appended = await log.append(change, origin=ORIGIN, time=recorded.meta.time)
            heads[key] = (appended[-1].meta.position, version + 1)
        await signals.reach(300)
        await heard(empty, 2)
        grown = await asyncio.to_thread(checksum_at, empty, 300)
    await asyncio.to_thread(_fold_anew, empty, facts)
    assert await asyncio.to_thread(checksum_at, empty, 300) == grown


def _fold_anew(database: Database, facts: list[Recorded]) -> None:
    with database.writing() as connection:
        empty_facts(connection)
    fold_all(database, facts)


async def test_telemetry_goes_on_after_its_stream_was_lost(nc: Client, empty: Database) -> None:
    await append(
        nc, run_requested(PROJECT), RunAssigned(attempt=1, node="gpu-1", executor="local"), RunStarted(attempt=1)
    )
    async with projecting(nc, empty) as signals, asyncio.timeout(WITHIN):
        for number in range(3):
            await say(nc, 10 * number, f"line {number}")
        await signals.reach(3)
        await heard(empty, 3)
        await nc.jetstream().delete_stream(TELEMETRY)
        await ensure_streams(nc.jetstream())
        await say(nc, 30, "line 3")
        lines = ["line 0", "line 1", "line 2", "line 3"]
        await until(empty, lambda connection: run_detail(connection, RUN), lambda run: shown(run) == lines)


def shown(run: RunDetail | None) -> list[str]:
    return [] if run is None else [entry.message for entry in run.logs[2:]]


async def test_tables_of_another_ledger_are_refused(nc: Client, empty: Database) -> None:
    await asyncio.to_thread(prepare, empty, "another ledger")
    with pytest.raises(DatabaseRefused, match="another ledger"):
        await project(nc, empty)
    assert await asyncio.to_thread(ask, empty, projected_position) == 0
