"""The streams of a ledger: made once, never changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from events.log.connection import connect
from events.log.jetstream import JetStreamLog
from events.log.streams import COMMANDS, DEADLETTERS, EVENTS, OUTCOMES, PEOPLE, TELEMETRY, ensure_streams, ledger_id
from tests.log_suite import ORIGIN, creation
from tests.nats_server import NatsServer


@pytest.fixture
def js(ledger: Client) -> JetStreamContext:
    return ledger.jetstream()


async def test_all_of_them_are_there(js: JetStreamContext) -> None:
    names = {str(stream.config.name) for stream in await js.streams_info()}
    assert names >= {EVENTS, COMMANDS, OUTCOMES, DEADLETTERS, TELEMETRY, f"KV_{PEOPLE}"}


async def test_events_are_kept_for_ever(js: JetStreamContext) -> None:
    config = (await js.stream_info(EVENTS)).config
    assert (config.max_msgs, config.max_bytes, config.max_age, config.max_msgs_per_subject) == (-1, -1, 0, -1)
    assert (config.deny_delete, config.deny_purge, config.allow_direct, config.allow_atomic) == (True,) * 4
    assert (config.storage, config.retention, config.subjects) == ("file", "limits", ["events.>"])


async def test_a_second_start_changes_nothing(js: JetStreamContext, ledger: Client) -> None:
    log = JetStreamLog(ledger)
    await log.append(creation(), origin=ORIGIN)
    before, identity = await js.streams_info(), await ledger_id(js)
    await ensure_streams(js)
    assert [(one.config, one.state.messages) for one in await js.streams_info()] == [
        (one.config, one.state.messages) for one in before
    ]
    assert await ledger_id(js) == identity


async def test_each_ledger_has_an_id_of_its_own(js: JetStreamContext, tmp_path: Path) -> None:
    other = NatsServer(tmp_path)
    other.start()
    try:
        nc = await connect(other.url)
        await ensure_streams(nc.jetstream())
        assert await ledger_id(nc.jetstream()) != await ledger_id(js)
        await nc.close()
    finally:
        other.kill()


async def test_events_that_somebody_set_up_otherwise_are_left_alone(nc: Client) -> None:
    js = nc.jetstream()
    with pytest.raises(NotFoundError):
        await ledger_id(js)
    await js.add_stream(name=EVENTS, subjects=["events.>"], description="mine")
    await ensure_streams(js)
    assert (await js.stream_info(EVENTS)).config.description == "mine"
    with pytest.raises(LookupError):
        await ledger_id(js)
