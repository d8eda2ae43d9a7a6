"""Outcomes are stored once, although the server does not answer for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from events.log import LogUnavailable
from events.log.connection import Connection, connect
from events.log.streams import ensure_streams
from services.runtime.outcome_records import Claim, Record, Settled
from services.runtime.outcome_stream import OutcomeStream, Stored
from tests.log.proxy import Proxy
from tests.nats_server import NatsServer

ID = uuid4()


def claimed() -> Record:
    return Record(actor="a", command="StartRun", fingerprint="f", claim=Claim("i", uuid4(), datetime.now(UTC)))


@pytest.fixture
async def nc(nats_server: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect(nats_server.url)
    await ensure_streams(connection.jetstream())
    yield connection
    await connection.close()


@pytest.fixture
def direct(nc: Connection) -> OutcomeStream:
    return OutcomeStream(nc)


@pytest.fixture
async def proxy(nats_server: NatsServer, nc: Connection) -> AsyncIterator[Proxy]:
    async with Proxy(nats_server.port).running() as proxy:
        yield proxy


@pytest.fixture
async def away(proxy: Proxy) -> AsyncIterator[Connection]:
    connection = await connect(proxy.url, reconnect_time_wait=0.05)
    yield connection
    await connection.close()


async def stored(stream: OutcomeStream) -> Stored:
    async with asyncio.timeout(60):
        while (found := await stream.read(ID)) is None:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)
    return found


@pytest.fixture
def patient(away: Connection) -> OutcomeStream:
    """For whom many answers are late before its patience ends."""
    return OutcomeStream(away, timeout=0.1, patience=60.0)


async def test_what_was_stored_while_no_answer_came_is_ours(
    proxy: Proxy, patient: OutcomeStream, direct: OutcomeStream
) -> None:
    record = claimed()
    proxy.to_client.hold()
    creating = asyncio.create_task(patient.create(ID, record))
    found = await stored(direct)
    done, _ = await asyncio.wait([creating], timeout=0.5)  # longer than several answers are waited for
    assert not done
    proxy.to_client.release()
    assert await creating == found.revision
    assert found.record == record
    settled = Settled(status=409)
    again = Record(actor="a", command="StartRun", fingerprint="f", claim=record.claim, settled=settled)
    assert await patient.replace(ID, again, found.revision) is not None


async def test_what_never_arrived_is_sent_again(proxy: Proxy, patient: OutcomeStream, direct: OutcomeStream) -> None:
    proxy.to_server.drop()
    creating = asyncio.create_task(patient.create(ID, claimed()))
    await proxy.to_server.stopped.wait()
    assert await direct.read(ID) is None
    await proxy.cut()
    revision = await creating
    assert revision == (await stored(direct)).revision


async def test_who_was_first_meanwhile_stays(proxy: Proxy, patient: OutcomeStream, direct: OutcomeStream) -> None:
    proxy.to_server.drop()
    creating = asyncio.create_task(patient.create(ID, claimed()))
    await proxy.to_server.stopped.wait()
    another = claimed()
    revision = await direct.create(ID, another)
    await proxy.cut()
    assert await creating is None
    assert await stored(direct) == Stored(another, revision or 0)


async def test_patience_ends(proxy: Proxy, away: Connection) -> None:
    impatient = OutcomeStream(away, timeout=0.1, patience=0.2)
    proxy.to_client.hold()
    for question in (impatient.create(ID, claimed()), impatient.read(ID)):
        with pytest.raises(LogUnavailable):
            await question
    proxy.to_client.release()
