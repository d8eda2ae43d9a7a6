"""A node that is gone for good, or for a while: real services, a real NATS, the watch."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from contracts.nodes import node_id
from events.event import Event
from events.nodes import NodeLost, NodeRegistered
from events.runs import RunAssigned, RunCompleted, RunFailed, RunQueued, RunRequested, RunStarted
from services.projector.node_watch import NodeWatch
from services.runtime.children import processes
from services.runtime.children.processes import Identity, alive
from services.runtime.nodes.heartbeats import Heartbeats
from tests.nats_server import NatsServer
from tests.nodes.service import HEARTBEAT, Service
from tests.training.ledger import BOUND, Ledger, ledger, until

pytestmark = pytest.mark.slow

PATIENCE = 10 * HEARTBEAT


class Node:
    """A service, and the ledger that its runs are requested in."""

    def __init__(self, url: str, directory: Path, book: Ledger) -> None:
        self.service = Service(url, directory, book.name)
        self.book = book
        book.data, book.root = self.service.data, self.service.root
        self._runs: list[UUID] = []

    def command(self, run_id: UUID) -> Identity:
        return Identity.parse((self.book.node().place(run_id, 1).directory / "pid").read_text())

    async def start_run(self) -> UUID:
        """One that goes on for ever."""
        run_id = await self.book.request("sleep", "600")
        await self.book.fact(run_id, RunStarted)
        self._runs.append(run_id)
        return run_id

    def end(self) -> None:
        self.service.kill()
        for run_id in self._runs:
            processes.send(self.command(run_id), signal.SIGKILL)

    async def facts(self) -> list[type[Event]]:
        return [type(entry.fact) for entry in await self.book.log.read("nodes", node_id(self.book.name))]

    async def heard_of(self, kind: type[Event], times: int = 1) -> None:
        async with asyncio.timeout(BOUND):
            while (await self.facts()).count(kind) < times:  # noqa: ASYNC110 - another process is waited for
                await asyncio.sleep(0.05)


@pytest.fixture
async def node(nats_url: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with running(nats_url, tmp_path) as made:
        yield made


@asynccontextmanager
async def running(url: str, directory: Path) -> AsyncIterator[Node]:
    async with ledger(url, directory) as book:
        made = Node(url, directory, book)
        made.service.start()
        try:
            await made.heard_of(NodeRegistered)
            yield made
        finally:
            made.end()


@asynccontextmanager
async def watching(node: Node, nc: Client, runs: Sequence[UUID]) -> AsyncIterator[None]:
    async def live_runs(name: str) -> Sequence[UUID]:
        return runs if name == node.book.name else ()

    async def live_jobs(_: str) -> Sequence[UUID]:
        return ()

    made = NodeWatch(nc, node.book.dispatch, live_runs, live_jobs, PATIENCE, look=HEARTBEAT)
    watch = asyncio.create_task(made.run())
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])
        assert watch.cancelled()


async def failure(node: Node, run_id: UUID) -> RunFailed:
    return await node.book.fact(run_id, RunFailed)


async def test_runs_of_a_node_that_is_gone_fail_and_are_stopped_when_it_returns(node: Node, nc: Client) -> None:
    run_id = await node.start_run()
    node.service.kill()
    waiting = await node.book.request("touch", "launched")  # asked for as the node died
    command = node.command(run_id)
    async with watching(node, nc, [run_id, waiting]), watching(node, nc, [run_id, waiting]):
        lost = await failure(node, run_id)
        assert (lost.cause, lost.exit_code) == ("lost", None)
        assert node.book.name in lost.reason
        never_launched = await failure(node, waiting)
        assert (never_launched.cause, never_launched.attempt) == ("lost", 0)
        await node.heard_of(NodeLost)
        assert alive(command)
        node.service.start()
        await until(lambda: not alive(command))
        await node.heard_of(NodeRegistered, 2)
    assert await node.facts() == [NodeRegistered, NodeLost, NodeRegistered]
    kinds = [type(fact) for fact in await node.book.facts(run_id)]
    assert kinds[:3] == [RunRequested, RunAssigned, RunStarted]
    assert kinds.count(RunFailed) == 1
    assert kinds[-1] is RunFailed
    assert not (node.book.root / "launched").exists()


async def test_without_its_checkpoint_too_it_finds_what_was_lost(node: Node, nc: Client) -> None:
    run_id = await node.start_run()
    node.service.kill()
    async with watching(node, nc, [run_id]):
        await failure(node, run_id)
    command = node.command(run_id)
    (node.book.data / "training.json").unlink()
    node.service.start()
    await until(lambda: not alive(command))


async def test_runs_of_a_node_that_was_renamed_go_on(node: Node, nc: Client) -> None:
    run_id = await node.start_run()
    node.service.kill()
    heartbeats = Heartbeats(nc)
    before = await heartbeats.last(node.book.name)
    node.service.settings = replace(node.service.settings, node=f"renamed-{uuid4()}")
    node.service.start()
    async with asyncio.timeout(BOUND):
        while await heartbeats.last(node.book.name) == before:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.05)
    async with watching(node, nc, [run_id]):
        await asyncio.sleep(PATIENCE + 1.0)  # the time is what is tried
    assert NodeLost not in await node.facts()
    assert alive(node.command(run_id))


async def test_runs_that_wait_for_a_node_that_was_renamed_begin_all_the_same(node: Node, nc: Client) -> None:
    """Also one that was asked for while nobody was there."""
    node.service.kill()
    node.service.settings = replace(node.service.settings, concurrent_runs=1)
    node.service.start()
    first = await node.start_run()
    waiting = await node.book.request("touch", "waited")
    await node.book.fact(waiting, RunQueued)
    node.service.kill()
    late = await node.book.request("touch", "late")
    renamed = f"renamed-{uuid4()}"
    node.service.settings = replace(node.service.settings, node=renamed)
    node.service.start()
    await node.book.fact(late, RunQueued)
    processes.send(node.command(first), signal.SIGKILL)
    for run_id in (waiting, late):
        await node.book.fact(run_id, RunCompleted)
        [assigned] = [fact for fact in await node.book.facts(run_id) if isinstance(fact, RunAssigned)]
        assert assigned.node == renamed
    assert {path.name for path in node.book.root.iterdir()} >= {"waited", "late"}


async def test_a_node_that_lives_is_left_alone(node: Node, nc: Client) -> None:
    run_id = await node.start_run()
    async with watching(node, nc, [run_id]):
        await asyncio.sleep(PATIENCE + 1.0)  # the time is what is tried
    assert NodeLost not in await node.facts()
    assert alive(node.command(run_id))


async def test_an_outage_of_nats_makes_nothing_lost(nats_server: NatsServer, tmp_path: Path) -> None:
    async with running(nats_server.url, tmp_path) as node:
        run_id = await node.start_run()
        async with watching(node, node.book.nc, [run_id]):
            await asyncio.sleep(PATIENCE / 2)
            await asyncio.to_thread(nats_server.kill)
            await asyncio.sleep(PATIENCE + 1.0)  # the time is what is tried
            await asyncio.to_thread(nats_server.start)
            await asyncio.sleep(PATIENCE + 1.0)
        assert NodeLost not in await node.facts()
        assert RunFailed not in [type(fact) for fact in await node.book.facts(run_id)]


async def test_after_a_restart_of_the_machine_runs_are_lost_at_once(node: Node) -> None:
    run_id = await node.start_run()
    node.service.kill()
    directory = node.book.node().place(run_id, 1).directory
    for file in (directory / "pid", directory / "started" / "wrapper"):
        pid, start, _ = file.read_text().split()
        os.kill(int(pid), 9)
        file.write_text(f"{pid} {start} {uuid4()}")
    node.service.start()
    lost = await failure(node, run_id)
    assert (lost.cause, lost.exit_code) == ("lost", None)
