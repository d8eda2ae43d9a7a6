"""An append whose acknowledgement is lost is settled: never doubled, never a conflict that was none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from nats.aio.client import Client

from events.log import Change, Conflict, EventLog, LogUnavailable, Undecided
from events.log.connection import connect
from events.log.jetstream import JetStreamLog
from events.projects import ProjectArchived
from tests.log.proxy import Proxy
from tests.log_suite import CREATED, ORIGIN, after, collect, creation, unstored
from tests.nats_server import NatsServer

PATIENCE = 60.0


@pytest.fixture
async def proxy(nats_server: NatsServer, ledger: Client) -> AsyncIterator[Proxy]:
    async with Proxy(nats_server.port).running() as proxy:
        yield proxy


@pytest.fixture
async def log(proxy: Proxy) -> AsyncIterator[JetStreamLog]:
    """A log behind the proxy, already in use."""
    connection = await connect(proxy.url, reconnect_time_wait=0.05)
    log = JetStreamLog(connection, answer_timeout=0.5, patience=PATIENCE)
    await log.append(creation(), origin=ORIGIN)
    yield log
    await connection.close()


@pytest.fixture
def direct(ledger: Client) -> JetStreamLog:
    """The same log without the proxy."""
    return JetStreamLog(ledger)


async def grown(log: EventLog, position: int) -> None:
    await collect(log, 1, position=position)


async def test_stored_but_the_acknowledgement_is_lost(proxy: Proxy, log: JetStreamLog, direct: JetStreamLog) -> None:
    change = creation()
    proxy.to_client.hold()
    appending = asyncio.create_task(log.append(change, origin=ORIGIN))
    await grown(direct, 1)
    await proxy.cut()
    appended = await appending
    assert unstored(await direct.read("projects", change.aggregate_id)) == unstored(appended)
    assert await direct.last_position() == 2


async def test_the_acknowledgement_is_late(proxy: Proxy, log: JetStreamLog, direct: JetStreamLog) -> None:
    change = creation()
    proxy.to_client.hold()
    appending = asyncio.create_task(log.append(change, origin=ORIGIN))
    await grown(direct, 1)
    await proxy.to_client.stopped.wait()
    done, _ = await asyncio.wait([appending], timeout=1.5)  # longer than an answer is waited for
    assert not done
    proxy.to_client.release()
    appended = await appending
    assert unstored(await direct.read("projects", change.aggregate_id)) == unstored(appended)
    assert await direct.last_position() == 2


async def test_it_never_arrived(proxy: Proxy, log: JetStreamLog, direct: JetStreamLog) -> None:
    change = creation()
    proxy.to_server.drop()
    appending = asyncio.create_task(log.append(change, origin=ORIGIN))
    await proxy.to_server.stopped.wait()
    assert await direct.last_position() == 1
    await proxy.cut()
    appended = await appending
    assert unstored(await direct.read("projects", change.aggregate_id)) == unstored(appended)
    assert await direct.last_position() == 2


async def test_it_arrives_late_and_again(proxy: Proxy, log: JetStreamLog, direct: JetStreamLog) -> None:
    """Held back on its way until it was given up for lost and sent again: both copies arrive."""
    change = creation()
    proxy.to_server.hold()
    appending = asyncio.create_task(log.append(change, origin=ORIGIN))
    done, _ = await asyncio.wait([appending], timeout=2.0)
    assert not done
    assert await direct.last_position() == 1
    proxy.to_server.release()
    appended = await appending
    assert unstored(await direct.read("projects", change.aggregate_id)) == unstored(appended)
    await log.append(creation(), origin=ORIGIN)
    assert await direct.last_position() == 3


async def test_somebody_else_was_there_meanwhile(proxy: Proxy, log: JetStreamLog, direct: JetStreamLog) -> None:
    [first] = await log.append(creation(), origin=ORIGIN)
    proxy.to_server.drop()
    appending = asyncio.create_task(log.append(after(first, ProjectArchived()), origin=ORIGIN))
    await proxy.to_server.stopped.wait()
    [theirs] = await direct.append(after(first, ProjectArchived()), origin=ORIGIN)
    await proxy.cut()
    with pytest.raises(Conflict):
        await appending
    read = await direct.read("projects", first.meta.aggregate_id)
    assert [one.meta.id for one in read] == [first.meta.id, theirs.meta.id]


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "never arrived"])
async def test_a_group_without_acknowledgement(
    stored: bool, proxy: Proxy, log: JetStreamLog, direct: JetStreamLog
) -> None:
    [taken] = await direct.append(creation(), origin=ORIGIN)
    changes = [creation() for _ in range(40)]
    changes[7] = Change(context="projects", aggregate_id=changes[7].aggregate_id, facts=(CREATED, ProjectArchived()))
    stale = asyncio.create_task(log.append(creation(taken.meta.aggregate_id), origin=ORIGIN)) if not stored else None
    if stored:
        proxy.to_client.hold()
    else:
        proxy.to_server.drop()
    appending = [asyncio.create_task(log.append(change, origin=ORIGIN)) for change in changes]
    if stored:
        await collect(direct, 41, position=2)
    else:
        await proxy.to_server.stopped.wait()
    await proxy.cut()
    for change, appended in zip(changes, await asyncio.gather(*appending), strict=True):
        assert unstored(await direct.read("projects", change.aggregate_id)) == unstored(appended)
    if stale is not None:
        with pytest.raises(Conflict):
            await stale
    assert await direct.last_position() == 2 + 41


async def test_what_cannot_be_settled_is_said_to_be_so(proxy: Proxy, ledger: Client, direct: JetStreamLog) -> None:
    connection = await connect(proxy.url, reconnect_time_wait=0.05)
    log = JetStreamLog(connection, answer_timeout=0.2, patience=0.5)
    await log.append(creation(), origin=ORIGIN)
    change = creation()
    proxy.to_server.hold()
    with pytest.raises(Undecided):
        await asyncio.wait_for(log.append(change, origin=ORIGIN), 60)
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(log.read("projects", change.aggregate_id), 60)
    proxy.to_server.release()
    await grown(direct, 1)  # it arrives after all, once, however many copies were sent
    await log.append(creation(), origin=ORIGIN)
    assert len(await direct.read("projects", change.aggregate_id)) == 1
    await connection.close()


async def test_without_a_connection_nothing_is_sent_later(
    proxy: Proxy, log: JetStreamLog, direct: JetStreamLog, ledger: Client
) -> None:
    connection = await connect(proxy.url)
    closed = JetStreamLog(connection, patience=0.5)
    await connection.close()
    with pytest.raises(LogUnavailable) as refused:
        await asyncio.wait_for(closed.append(creation(), origin=ORIGIN), 60)
    assert not isinstance(refused.value, Undecided)
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(closed.read("projects", creation().aggregate_id), 60)
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(collect(closed, 1), 60)
    assert await direct.last_position() == 1


async def test_what_was_on_its_way_to_a_follower_comes_again(
    proxy: Proxy, log: JetStreamLog, direct: JetStreamLog
) -> None:
    positions: list[int] = []
    async with asyncio.timeout(60), aclosing(log.follow(0)) as batches:
        positions += [one.meta.position for one in await anext(batches)]
        following = asyncio.ensure_future(anext(batches))
        proxy.to_client.hold()
        await direct.append(creation(), origin=ORIGIN)
        await proxy.to_client.stopped.wait()
        await proxy.cut()
        await direct.append(creation(), origin=ORIGIN)
        positions += [one.meta.position for one in await following]
        while positions[-1] < 3:
            positions += [one.meta.position for one in await anext(batches)]
    assert positions == [1, 2, 3]
