"""The server is killed, restarted or emptied under those who write and follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID, uuid4

import pytest

from events.event import Recorded
from events.log import Change, LogReplaced, LogUnavailable
from events.log.connection import Connection, connect
from events.log.jetstream import JetStreamLog
from events.log.streams import EVENTS, ensure_streams
from events.projects import ProjectArchived
from tests.log_suite import CREATED, ORIGIN, after, collect, creation, unstored
from tests.nats_server import NatsServer

WRITERS = 16


@pytest.fixture
async def nc(nats_server: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect(nats_server.url, reconnect_time_wait=0.05)
    await ensure_streams(connection.jetstream())
    yield connection
    await connection.close()


@pytest.fixture
def log(nc: Connection) -> JetStreamLog:
    return JetStreamLog(nc, answer_timeout=1.0, patience=60.0)


async def test_kill_9_under_writers_loses_and_doubles_nothing(nats_server: NatsServer, log: JetStreamLog) -> None:
    acknowledged: dict[UUID, list[Recorded]] = {}
    stop = asyncio.Event()
    progress = asyncio.Condition()

    async def write(project: UUID) -> None:
        facts = acknowledged[project] = await log.append(
            Change(context="projects", aggregate_id=project, facts=(CREATED,)), origin=ORIGIN
        )
        while not stop.is_set():
            # every third append has two facts, so that batches of one writer are hit as well
            new = (ProjectArchived(),) * (2 if len(facts) % 3 else 1)
            facts += await log.append(after(facts[-1], *new), origin=ORIGIN)
            async with progress:
                progress.notify_all()

    end: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def follow() -> list[Recorded]:
        seen: list[Recorded] = []
        async with aclosing(log.follow(0)) as batches:
            async for batch in batches:
                seen += batch
                if end.done() and seen[-1].meta.position == end.result():
                    break
        return seen

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        writers = [group.create_task(write(uuid4())) for _ in range(WRITERS)]
        for _ in range(3):
            async with progress:
                for _ in range(3 * WRITERS):
                    await progress.wait()
            await asyncio.to_thread(nats_server.kill)
            await asyncio.to_thread(nats_server.start)
        async with progress:
            await progress.wait()
        stop.set()
        await asyncio.wait(writers)
        end.set_result(await log.last_position() + 1)
        await log.append(creation(), origin=ORIGIN)
    for project, facts in acknowledged.items():
        assert unstored(await log.read("projects", project)) == unstored(facts)
    followed = following.result()
    assert [one.meta.position for one in followed] == list(range(1, len(followed) + 1))
    assert len(followed) == sum(len(facts) for facts in acknowledged.values()) + 1


async def test_follows_across_a_restart(nats_server: NatsServer, log: JetStreamLog) -> None:
    await log.append(creation(), origin=ORIGIN)
    positions: list[int] = []
    async with asyncio.timeout(60), aclosing(log.follow(0)) as batches:
        async for batch in batches:
            positions += [one.meta.position for one in batch]
            if len(positions) >= 4:
                break
            await asyncio.to_thread(nats_server.restart)
            await log.append(creation(), origin=ORIGIN)
    assert positions == [1, 2, 3, 4]


async def test_follows_on_when_its_consumer_is_gone(nc: Connection, log: JetStreamLog) -> None:
    js = nc.jetstream()
    await log.append(creation(), origin=ORIGIN)
    positions: list[int] = []
    async with asyncio.timeout(60), aclosing(log.follow(0)) as batches:
        async for batch in batches:
            positions += [one.meta.position for one in batch]
            if len(positions) == 3:
                break
            [consumer] = await js.consumers_info(EVENTS)
            await js.delete_consumer(EVENTS, consumer.name)
            await log.append(creation(), origin=ORIGIN)
    assert positions == [1, 2, 3]


async def test_leaves_no_consumer_behind(nc: Connection, log: JetStreamLog) -> None:
    await log.append(creation(), origin=ORIGIN)
    await collect(log, 1)
    # The server answers other questions while it deletes, and would forget the consumer by itself after a minute.
    async with asyncio.timeout(30):
        while await nc.jetstream().consumers_info(EVENTS):
            pass


@pytest.mark.parametrize("again", [True, False], ids=["made anew", "gone"])
async def test_a_follower_notices_that_the_stream_was_deleted(again: bool, nc: Connection, log: JetStreamLog) -> None:
    await log.append(creation(), origin=ORIGIN)
    await log.append(creation(), origin=ORIGIN)
    async with asyncio.timeout(60), aclosing(log.follow(0)) as batches:
        assert await anext(batches)
        await nc.jetstream().delete_stream(EVENTS)
        if again:
            await ensure_streams(nc.jetstream())
            for _ in range(5):
                await log.append(creation(), origin=ORIGIN)
        with pytest.raises(LogReplaced):
            await anext(batches)


async def test_without_a_stream_the_log_is_unavailable(nc: Connection) -> None:
    await nc.jetstream().delete_stream(EVENTS)
    log = JetStreamLog(nc, answer_timeout=0.2, patience=0.4)
    with pytest.raises(LogUnavailable):
        await log.append(creation(), origin=ORIGIN)
    with pytest.raises(LogUnavailable):
        await log.read("projects", uuid4())
    with pytest.raises(LogReplaced):
        await collect(log, 1)


async def test_a_dead_server_is_unavailable(nats_server: NatsServer, nc: Connection) -> None:
    log = JetStreamLog(nc, answer_timeout=0.2, patience=0.4)
    await asyncio.to_thread(nats_server.kill)
    for asking in (log.append(creation(), origin=ORIGIN), log.last_position(), log.stored_at(1)):
        with pytest.raises(LogUnavailable):
            await asyncio.wait_for(asking, 60)


async def test_a_connection_is_closed_although_its_reconnecting_loses_a_cancellation(nats_server: NatsServer) -> None:
    """As `asyncio.wait_for` of Python 3.11 does where a connection is refused at the same time."""
    connection = await connect(nats_server.url, reconnect_time_wait=0.05)
    connecting = asyncio.Event()
    lost = 0

    async def refused(s: object) -> None:
        nonlocal lost
        connecting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost += 1
        raise ConnectionRefusedError

    connection._connect_to_server = refused  # type: ignore[method-assign]
    await asyncio.to_thread(nats_server.kill)
    async with asyncio.timeout(60):
        await connecting.wait()
        reconnecting = connection._reconnection_task
        assert reconnecting is not None
        await connection.close()
    assert lost
    assert reconnecting.done()
