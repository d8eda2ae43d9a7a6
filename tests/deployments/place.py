"""A node that serves: a real ledger, real child processes, and GPUs as a test says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client

from contracts.deployments import CreateDeployment, RemoveDeployment, RoomQuestion, RoomReport
from contracts.leases import Wish
from contracts.nodes import Gpu
from events.deployments import Deployment
from events.event import Event, Origin
from events.log.jetstream import JetStreamLog
from services.deployment.answering import Answers
from services.deployment.consumer import Consumer
from services.deployment.health import Health
from services.deployment.node import Node
from services.runtime.children import host
from services.runtime.commands import DEPLOYMENTS
from services.runtime.dispatch import Dispatch, load
from services.runtime.nodes.gpus import Device, GpuProcess, SharedLook
from tests.ports import free_port
from tests.training.ledger import sources

BOUND = 60.0
SERVER = Path(__file__).with_name("misbehaving_server.py")
TEMPLATE = f"{sys.executable} {SERVER} {{model_path}} --host {{host}} --port {{port}} {{extra_args}}"
GIB = 2**30

_F = TypeVar("_F", bound=Event)


class GpusTwin:
    """In memory."""

    def __init__(self, *free: int) -> None:
        self.free = list(free)
        self.uuids: list[str] = []
        self.processes: dict[int, tuple[GpuProcess, ...]] = {}

    def devices(self) -> tuple[Device, ...]:
        return tuple(
            Device(
                index=index,
                gpu=Gpu(
                    name="NVIDIA A100",
                    uuid=self.uuids[index] if self.uuids else f"GPU-{index}",
                    memory_total=80 * GIB,
                    memory_free=free * GIB,
                ),
                processes=self.processes.get(index, ()),
            )
            for index, free in enumerate(self.free)
        )

    def read(self) -> tuple[Gpu, ...]:
        return tuple(device.gpu for device in self.devices())


class _Room:
    """Asks the node without the bus."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def room(self, wish: Wish, node: str | None) -> RoomReport | None:
        return await Answers(self._place.node()).room(RoomQuestion(wish=wish))

    async def run_of(self, artifact_id: UUID) -> UUID | None:
        return None


class Place:
    """Its node is a new one, so that deployments of other tests on the same server are not its own."""

    def __init__(self, nc: Client, directory: Path, *, ports: int = 4) -> None:
        self.name = f"node-{uuid4()}"
        self.log = JetStreamLog(nc)
        self.data = directory / "data"
        self.data.mkdir(exist_ok=True)
        self.gpus = GpusTwin()
        self.ports = tuple(free_port() for _ in range(ports))
        self.settings: dict[str, Any] = {"template": TEMPLATE, "stop_seconds": 2.0}
        self.service = uuid4()
        self.health = Health()
        self.dispatch = Dispatch(msgspec.structs.replace(sources(self.log), serving=_Room(self)))

    def node(self) -> Node:
        fields: dict[str, Any] = {
            "name": self.name,
            "service": self.service,
            "log": self.log,
            "dispatch": self.dispatch,
            "devices": SharedLook(self.gpus),
            "health": self.health,
            "attempts": self.data / "deployments",
            "logs": self.data / "deploy_logs",
            "workdir": self.data,
            "host": "127.0.0.1",
            "ports": self.ports,
        }
        return Node(**fields | self.settings)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Consumer]:
        """The deployment service, for as long as the context lasts."""
        consumer = Consumer(self.node(), self.data / "deployment.json")
        task = asyncio.create_task(consumer.run())
        try:
            yield consumer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def create(self, **body: Any) -> UUID:
        """Raises Refused."""
        command = CreateDeployment(**{"model_path": "models/qwen2.5"} | body)
        return (await self.dispatch(command, origin())).aggregate_id

    async def remove(self, deployment_id: UUID, *, force: bool = False) -> None:
        await self.dispatch(RemoveDeployment(deployment_id=deployment_id, force=force), origin())

    async def state(self, deployment_id: UUID) -> Deployment:
        state: Deployment = (await load(self.log, DEPLOYMENTS, deployment_id)).state
        return state

    async def facts(self, deployment_id: UUID) -> list[Event]:
        return [entry.fact for entry in await self.log.read("deployments", deployment_id)]

    async def fact(self, deployment_id: UUID, kind: type[_F], number: int = 1) -> _F:
        """The deployment's fact of that kind, or a later one, waited for."""
        seen = 0
        async with asyncio.timeout(BOUND):
            async for batch in self.log.follow(0, ("deployments",)):
                for entry in batch:
                    if entry.meta.aggregate_id == deployment_id and isinstance(entry.fact, kind):
                        seen += 1
                        if seen == number:
                            return entry.fact
        raise AssertionError

    async def held(self) -> dict[UUID, int | None]:
        """Who has which port."""
        return {holder: lease.port for holder, lease in (await self.node().leases()).held.items()}

    def pids(self, deployment_id: UUID, attempt: int = 1) -> set[int]:
        """What is alive of an attempt."""
        return {identity.pid for identity in host.members(self.node().attempt(deployment_id, attempt))}

    def said(self, deployment_id: UUID) -> str:
        return (self.data / "deploy_logs" / f"{deployment_id}.log").read_text()

    async def end(self) -> None:
        """Leaves nothing behind, whatever the test left."""
        for directory in (self.data / "deployments").glob("*/*"):
            attempt = self.node().attempt(UUID(directory.parent.name), int(directory.name))
            host.prevent(attempt)
            await host.stop(attempt, 0.0)
        await self.health.close()


def origin() -> Origin:
    return Origin(actor="service:test", command_id=uuid4())
