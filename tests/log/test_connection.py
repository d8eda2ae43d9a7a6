"""What the own connection does better than nats-py's."""

from __future__ import annotations

import asyncio

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.log.connection import cancellation_kept, connect


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
