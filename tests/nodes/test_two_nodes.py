"""Two training services with two directories on one NATS, each a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client

from contracts.nodes import node_id
from contracts.projects import CreateProject
from contracts.runs import StartRun
from events.nodes import NodeRegistered
from events.runs import RunCompleted, RunRequested
from services.runtime.commands import NODES
from services.runtime.dispatch import load
from tests.bus.stack import Stack, stack
from tests.nodes.service import Service
from tests.training.ledger import BOUND, TERMINAL, origin


@pytest.fixture
def services(nats_url: str, tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    made = tuple(Service(nats_url, tmp_path / place, f"{place}-{uuid4()}") for place in ("sh", "bj"))
    yield made[0], made[1]
    for service in made:
        service.kill()


def give(service: Service, name: str) -> None:
    """The assets of the project of that name, and a training that says where it runs."""
    (service.root / f"{name}.jsonl").touch()
    (service.root / f"{name}.yaml").touch()
    (service.root / "train.sh").write_text("echo $1 >> trained\n")


async def registered(parts: Stack, service: Service) -> None:
    """Waits until the node has said that it is there."""
    async with asyncio.timeout(BOUND):
        async for batch in parts.log.follow(0, ("nodes",)):
            if any(entry.meta.aggregate_id == node_id(service.settings.node) for entry in batch):
                return


async def train(parts: Stack, name: str) -> tuple[RunRequested, UUID]:
    accepted = await parts.dispatch(StartRun(project=name), origin())
    requested = accepted.recorded[0].fact
    assert isinstance(requested, RunRequested)
    return requested, accepted.aggregate_id


async def end_of(parts: Stack, run_id: UUID) -> object:
    async with asyncio.timeout(BOUND):
        async for batch in parts.log.follow(0, ("runs",)):
            for entry in batch:
                if entry.meta.aggregate_id == run_id and isinstance(entry.fact, TERMINAL):
                    return entry.fact
    raise AssertionError


async def test_each_runs_what_its_directory_holds(nc: Client, services: tuple[Service, Service]) -> None:
    names = [f"project-{uuid4()}" for _ in services]
    async with stack(nc) as parts:
        for service, name in zip(services, names, strict=True):
            give(service, name)
            service.start()
            await parts.dispatch(
                CreateProject(
                    name=name, owner="alice", dataset_name=f"{name}.jsonl", training_yaml_name=f"{name}.yaml"
                ),
                origin(),
            )
        for service in services:
            await registered(parts, service)
        # Side by side, three of each.
        started = await asyncio.gather(*(train(parts, name) for name in names * 3))
        for requested, run_id in started:
            service = services[names.index(requested.training_yaml.removesuffix(".yaml"))]
            assert requested.node == service.settings.node
            assert isinstance(await end_of(parts, run_id), RunCompleted)
    for service, name in zip(services, names, strict=True):
        assert (service.root / "trained").read_text().split() == [f"{name}.yaml"] * 3


async def test_a_node_is_registered_with_its_labels_and_only_once(
    nc: Client, services: tuple[Service, Service]
) -> None:
    service = services[0]
    async with stack(nc) as parts:
        service.start()
        await registered(parts, service)
        service.kill()
        service.start()  # at once: the name was this data directory's
        async with asyncio.timeout(BOUND):
            while service.said().count("trains in") < 2:  # noqa: ASYNC110 - a process is waited for
                await asyncio.sleep(0.02)
        loaded = await load(parts.log, NODES, node_id(service.settings.node))
        [entry] = loaded.recorded
        assert entry.fact == NodeRegistered(
            name=service.settings.node,
            labels={"place": "sh"},
            executor="local",
            training_directory=str(service.root),
        )


async def test_a_second_service_of_the_same_name_does_not_start(
    nc: Client, services: tuple[Service, Service], nats_url: str, tmp_path: Path
) -> None:
    first = services[0]
    second = Service(nats_url, tmp_path / "second", first.settings.node)
    async with stack(nc) as parts:
        first.start()
        await registered(parts, first)
        second.start()
        assert second.process is not None
        assert await asyncio.to_thread(second.process.wait, BOUND) != 0
    assert "another training service of that name is at work on this NATS" in second.said()
    assert first.process is not None
    assert first.process.poll() is None
