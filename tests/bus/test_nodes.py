from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.runs import AssetReport
from services.runtime.nodes.asking import Nodes
from tests.bus.conftest import Connect


def node(report: AssetReport) -> Callable[[Msg], Awaitable[None]]:
    async def on_question(message: Msg) -> None:
        await message.respond(msgspec.json.encode(report))

    return on_question


async def sent(nc: Client) -> None:
    """nats-py's ping overtakes a subscription that is pending: only a second one comes after it."""
    await nc.flush()
    await nc.flush()


async def test_without_nodes_it_is_known_at_once(connect: Connect) -> None:
    nodes = Nodes(await connect(), timeout=600.0)
    await nodes.start()
    async with asyncio.timeout(60):
        assert await nodes.assets(("a",)) is None
    await nodes.stop()


async def test_a_node_that_does_not_answer_is_waited_for_so_long(connect: Connect) -> None:
    nc = await connect()
    await nc.subscribe(subjects.NODE_ASSETS)
    nodes = Nodes(nc, timeout=0.2)
    await nodes.start()
    assert await nodes.assets(("a",)) is None
    await nodes.stop()


async def test_the_node_that_has_everything_wins_else_the_one_that_lacks_least(connect: Connect) -> None:
    nc, nodes = await connect(), Nodes(await connect(), timeout=60.0, window=2.0)
    await nodes.start()
    reports = [
        AssetReport(node="n1", missing=("a", "b")),
        AssetReport(node="n2", outside=("a",)),
        AssetReport(node="n3", missing=("b",)),
        AssetReport(node="n4"),
    ]
    for report in reports[:3]:
        await nc.subscribe(subjects.NODE_ASSETS, cb=node(report))
    await sent(nc)
    assert await nodes.assets(("a", "b")) == reports[2]
    nodes._window = 60.0  # which is not waited for, as one has everything
    await nc.subscribe(subjects.NODE_ASSETS, cb=node(reports[3]))
    await sent(nc)
    assert await nodes.assets(("a", "b")) == reports[3]
    await nodes.stop()
