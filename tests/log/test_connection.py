"""What the own connection does better than nats-py's."""

from __future__ import annotations

import asyncio

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.log.connection import Connection, Delivery, Publication, cancellation_kept, connect


@pytest.mark.parametrize("status", [{}, {"Status": "503"}], ids=["answer", "no responders"])
async def test_a_request_that_is_cancelled_as_its_answer_comes_is_cancelled(
    nats_url: str, status: dict[str, str]
) -> None:
    client = await connect(nats_url)

    asked = asyncio.Event()

    async def silent(_: Msg) -> None:
        asked.set()  # and answers nothing; the test does

    await client.subscribe("silent", cb=silent)
    asking = asyncio.create_task(client.request("silent", b"", timeout=30))
    await asyncio.wait_for(asked.wait(), 30)
    (answer,) = client._resp_map.values()
    answer.set_result(Msg(_client=client, subject="x", data=b"answer", headers=status))
    asking.cancel()
    await asyncio.wait([asking], timeout=30)
    assert asking.cancelled()
    await client.close()


FRAMES = (
    b"MSG mine 1 5\r\nhello\r\n"
    b"PING\r\n"
    b"MSG mine 1 reply.to 0\r\n\r\n"
    b"MSG others 2 4\r\n\r\nMS\r\n"
    b"+OK\r\n"
    b"HMSG mine 1 reply.to 18 20\r\nNATS/1.0\r\na: 1\r\n\r\n\r\n\r\n"
    b"HMSG mine 1 28 28\r\nNATS/1.0 404 No Messages\r\n\r\n\r\n"
    b"HMSG others 2 18 18\r\nNATS/1.0\r\na: 1\r\n\r\n\r\n"
)


@pytest.mark.parametrize("size", range(1, len(FRAMES) + 1, 3))
async def test_frames_are_read_however_the_bytes_are_cut(size: int) -> None:
    connection = Connection()
    mine: list[Delivery] = []
    others: list[tuple[int, bytes, bytes | None]] = []
    pings = 0

    async def process_msg(sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        others.append((sid, data, headers))

    async def process_ping() -> None:
        nonlocal pings
        pings += 1

    connection._process_msg, connection._process_ping = process_msg, process_ping  # type: ignore[method-assign]
    connection.receivers[1] = mine.append
    for first in range(0, len(FRAMES), size):
        await connection._ps.parse(FRAMES[first : first + size])
    assert [(one.subject, one.reply, dict(one.headers), one.body, one.status) for one in mine] == [
        ("mine", "", {}, b"hello", None),
        ("mine", "reply.to", {}, b"", None),
        ("mine", "reply.to", {"a": "1"}, b"\r\n", None),
        ("mine", "", {"Status": "404", "Description": "No Messages"}, b"", "404"),
    ]
    assert others == [(2, b"\r\nMS", None), (2, b"", b"NATS/1.0\r\na: 1\r\n\r\n")]
    assert pings == 1


async def test_a_frame_that_is_none_is_an_error_of_the_protocol() -> None:
    for wrong in (b"MSG subject 1 many\r\n", b"MSG subject\r\n", b"HMSG subject 1 x 3\r\n", b"WHAT is this\r\n"):
        with pytest.raises(nats.errors.ProtocolError):
            await Connection()._ps.parse(wrong)


async def test_what_is_published_in_one_piece_arrives_as_if_one_by_one(nats_url: str, nc: Client) -> None:
    listening = await nc.subscribe("told.*")
    await nc.flush()
    connection = await connect(nats_url)
    headers = {"ce-id": "1", "ce-actor": "%E7%94%B2 b"}
    await connection.publish_all(
        [
            Publication("told.one", "answer.here", headers, b'{"a": "\r\n"}'),
            Publication("told.two", "", {"x": "y"}, b""),
            Publication("told.three", "", headers, "值".encode()),
        ]
    )
    arrived = [await listening.next_msg(30) for _ in range(3)]
    assert [(one.subject, one.reply, one.headers, one.data) for one in arrived] == [
        ("told.one", "answer.here", headers, b'{"a": "\r\n"}'),
        ("told.two", "", {"x": "y"}, b""),
        ("told.three", "", headers, "值".encode()),
    ]
    assert connection.stats["out_msgs"] == 3
    await connection.close()
    with pytest.raises(nats.errors.ConnectionClosedError):
        await connection.publish_all([Publication("told.one", "", {}, b"")])


async def test_what_the_server_would_not_take_is_not_sent(nats_url: str) -> None:
    connection = await connect(nats_url)
    with pytest.raises(ValueError, match="more than one line"):
        await connection.publish_all([Publication("told", "", {"a": "b\r\nc: d"}, b"")])
    with pytest.raises(nats.errors.MaxPayloadError):
        await connection.publish_all([Publication("told", "", {}, bytes(connection.max_payload + 1))])
    assert connection.stats["out_msgs"] == 0
    await connection.close()


async def test_other_errors_stay_what_they_are(nc: Client) -> None:
    with pytest.raises(nats.errors.NoRespondersError):
        await nc.request("nobody", b"", timeout=5)


async def test_a_time_limit_stays_one() -> None:
    async def wait() -> None:
        with cancellation_kept():
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await wait()
