"""The log on a real nats-server behaves as a log."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import nats
import pytest
from nats.aio.client import Client

from events.log import Change
from events.log.jetstream import JetStreamLog
from tests.log_suite import CREATED, ORIGIN, LogSuite, Plant, collect, creation, unstored


class TestJetStreamLog(LogSuite):
    @pytest.fixture
    def log(self, ledger: Client) -> JetStreamLog:
        return JetStreamLog(ledger)

    @pytest.fixture
    def plant(self, ledger: Client) -> Plant:
        async def plant(subject: str, headers: dict[str, str], body: bytes) -> None:
            await ledger.jetstream().publish(subject, body, headers=headers)

        return plant


async def test_a_plain_nats_py_client_will_do(nats_url: str, ledger: Client) -> None:
    connection = await nats.connect(nats_url)
    log = JetStreamLog(connection)
    appended = await log.append(creation(), origin=ORIGIN)
    assert unstored(await log.read("projects", appended[0].meta.aggregate_id)) == unstored(appended)
    assert unstored(await collect(log, 1)) == unstored(appended)
    await connection.close()


async def test_a_replicated_stream_is_read_up_to_its_leaders_last(ledger: Client) -> None:
    log = JetStreamLog(ledger)
    log._reader._replicated = True  # as if it were: one node is its own leader
    appended = await log.append(creation(), origin=ORIGIN)
    assert unstored(await log.read("projects", appended[0].meta.aggregate_id)) == unstored(appended)
    assert await log.read("projects", creation().aggregate_id) == []


async def test_what_is_larger_than_the_server_takes_is_refused(ledger: Client) -> None:
    log = JetStreamLog(ledger)
    huge = msgspec.structs.replace(CREATED, description="x" * (8 << 20))
    with pytest.raises(ValueError, match="larger than the server takes"):
        await log.append(Change(context="projects", aggregate_id=uuid4(), facts=(huge,)), origin=ORIGIN)
    large = msgspec.structs.replace(CREATED, description="x" * (1 << 20))
    changes = [Change(context="projects", aggregate_id=uuid4(), facts=(large,)) for _ in range(20)]
    await asyncio.gather(*(log.append(change, origin=ORIGIN) for change in changes))
    assert await log.last_position() == 20
