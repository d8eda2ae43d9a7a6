"""The name of a node is one service's at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from contracts.nodes import Heartbeat
from services.runtime.nodes.heartbeats import Heartbeats, Stored
from services.runtime.settings import SettingRefused
from services.training.lease import Lease, own_heartbeat


@pytest.fixture
def node() -> str:
    return f"node-{uuid4()}"


def service(data_directory: Path, boot: str = "this-boot", every: float = 600.0) -> Heartbeat:
    data_directory.mkdir(exist_ok=True)
    return own_heartbeat(data_directory, boot, every)


async def test_the_next_service_of_a_data_directory_takes_over_at_once(nc: Client, node: str, tmp_path: Path) -> None:
    heartbeats = Heartbeats(nc)
    killed = Lease(heartbeats, node, service(tmp_path))
    await killed.take()
    await killed.beat()
    successor = service(tmp_path)
    lease = Lease(heartbeats, node, successor)
    async with asyncio.timeout(60):
        await lease.take()
    await lease.beat()
    found = await heartbeats.last(node)
    assert found is not None
    assert found.heartbeat == successor
    with pytest.raises(SettingRefused, match=node):
        await killed.beat()


async def test_a_name_that_another_holds_is_refused_in_one_sentence(nc: Client, node: str, tmp_path: Path) -> None:
    heartbeats = Heartbeats(nc)
    holder = Lease(heartbeats, node, service(tmp_path / "holder"))
    await holder.take()

    async def keep() -> None:
        while True:
            await holder.beat()
            await asyncio.sleep(0.1)

    keeping = asyncio.create_task(keep())
    with pytest.raises(SettingRefused) as refused:
        await Lease(heartbeats, node, service(tmp_path / "other")).take()
    assert str(refused.value) == (
        f"TRAINLEDGER_NODE is {node}, but another training service of that name is at work on this NATS; "
        "give each its own name."
    )
    assert not keeping.done()
    keeping.cancel()


async def test_a_copy_of_a_data_directory_elsewhere_is_another(nc: Client, node: str, tmp_path: Path) -> None:
    heartbeats = Heartbeats(nc)
    holder = Lease(heartbeats, node, service(tmp_path))
    await holder.take()
    taking = asyncio.create_task(Lease(heartbeats, node, service(tmp_path, "another-boot")).take())
    while not taking.done():
        await holder.beat()
        await asyncio.sleep(0.1)
    with pytest.raises(SettingRefused):
        await taking


async def test_a_name_whose_heartbeats_stopped_is_free(nc: Client, node: str, tmp_path: Path) -> None:
    heartbeats = Heartbeats(nc)
    await Lease(heartbeats, node, service(tmp_path / "gone", every=0.3)).take()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await Lease(heartbeats, node, service(tmp_path / "new")).take()
    assert 0.8 < loop.time() - begun < 60


async def test_a_name_that_was_let_go_is_free_at_once(nc: Client, node: str, tmp_path: Path) -> None:
    heartbeats = Heartbeats(nc)
    stopped = Lease(heartbeats, node, service(tmp_path / "stopped"))
    await stopped.take()
    await stopped.release()
    async with asyncio.timeout(60):
        await Lease(heartbeats, node, service(tmp_path / "new")).take()


async def test_of_two_that_want_a_free_name_at_once_one_gets_it(nc: Client, node: str, tmp_path: Path) -> None:
    both_looked = asyncio.Barrier(2)

    class LooksTogether(Heartbeats):
        async def last(self, node: str) -> Stored | None:
            found = await super().last(node)
            await both_looked.wait()
            return found

    heartbeats = LooksTogether(nc)
    wanting = [Lease(heartbeats, node, service(tmp_path / str(number))) for number in range(2)]
    results = await asyncio.gather(*(lease.take() for lease in wanting), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [SettingRefused]


async def test_a_heartbeat_whose_answer_was_lost_is_ones_own(nc: Client, node: str, tmp_path: Path) -> None:
    heartbeats, own = Heartbeats(nc), service(tmp_path)
    lease = Lease(heartbeats, node, own)
    await lease.take()
    stored = await heartbeats.last(node)
    assert stored is not None
    assert await heartbeats.put(node, replace(own), stored.revision) is not None
    await lease.beat()
