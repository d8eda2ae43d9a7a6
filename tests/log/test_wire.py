"""Many requests in one piece, each answered for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.log.connection import Publication, connect
from events.log.wire import NoAnswer, Wire


@pytest.fixture
async def wire(nats_url: str) -> AsyncIterator[Wire]:
    connection = await connect(nats_url)
    wire = Wire(connection, timeout=0.5)
    await wire.open()
    yield wire
    await connection.close()


@pytest.fixture
async def echo(nc: Client) -> list[bytes]:
    """Answers what is asked of `echo` with itself; hears, and never answers, what is told to `silence`."""
    heard: list[bytes] = []

    async def on_message(message: Msg) -> None:
        heard.append(message.data)
        if message.subject == "echo" and message.reply:
            await message.respond(message.data)

    await nc.subscribe("echo", cb=on_message)
    await nc.subscribe("silence", cb=on_message)
    await nc.flush()
    return heard


def told(subject: str, body: bytes) -> Publication:
    return Publication(subject, "", {"a": "1"}, body)


async def test_each_batch_gets_the_answer_to_its_last_message(wire: Wire, echo: list[bytes]) -> None:
    batches = [[told("echo", b"1"), told("echo", b"2")], [told("echo", b"3")]]
    assert await wire.ask_all(batches) == [b"2", b"3"]
    assert echo == [b"1", b"2", b"3"]


async def test_one_that_nobody_answers_takes_no_answer_from_the_others(wire: Wire, echo: list[bytes]) -> None:
    batches = [[told("nobody", b"1")], [told("echo", b"2")], [told("silence", b"3")]]
    assert await wire.ask_all(batches) == [None, b"2", None]
    assert echo == [b"2", b"3"]
    assert await wire.ask_all([[told("echo", b"4")]]) == [b"4"]


async def test_without_a_connection_nothing_is_sent(wire: Wire, echo: list[bytes]) -> None:
    await wire.nc.close()
    with pytest.raises(NoAnswer):
        await wire.ask_all([[told("echo", b"1")]])
    assert echo == []
