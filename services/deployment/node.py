"""What every deployment of this node needs, and the room that the node has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import msgspec

from contracts.leases import GpuOffer, ReleaseLease, TakeLease, Wish
from contracts.nodes import node_id
from contracts.problems import Refused
from events.deployments import Deployment
from events.event import Origin
from events.leases import Leases, LeaseTaken
from events.log import EventLog
from services.deployment.attempts import Attempt
from services.deployment.health import Health
from services.deployment.ports import free_ports, is_anothers, is_free
from services.runtime.addresses import in_url, reachable
from services.runtime.commands import LEASES
from services.runtime.dispatch import Dispatch
from services.runtime.nodes.gpus import Device, SharedLook
from services.runtime.nodes.leasing import offers

ACTOR = "service:deployment"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """`service` identifies the data directory, whose attempts lie in `attempts`; `logs` is the directory of logs.

    Servers start in `workdir` by the command `template`, listen on `host` and get one of `ports`. A server may take
    `start_seconds` until it is healthy, be unhealthy for `liveness_seconds` after that, and gets `stop_seconds` to end.
    Of its log the newest `log_bytes` are kept.
    """

    name: str
    service: UUID
    log: EventLog
    dispatch: Dispatch
    devices: SharedLook
    health: Health
    attempts: Path
    logs: Path
    workdir: Path
    template: str
    host: str
    ports: tuple[int, ...]
    start_seconds: float = 1800.0
    liveness_seconds: float = 120.0
    stop_seconds: float = 10.0
    restarts: int = 5
    log_bytes: int = 2**30
    taking: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    def attempt(self, deployment_id: UUID, number: int) -> Attempt:
        directory = self.attempts / str(deployment_id) / str(number)
        return Attempt(
            deployment_id=deployment_id, number=number, directory=directory, log=self.logs / f"{deployment_id}.log"
        )

    def log_file(self, deployment_id: UUID) -> str:
        """As it is shown: a relative one from where the service was started."""
        path = self.logs / f"{deployment_id}.log"
        return str(path) if path.is_absolute() else f"./{path}"

    async def leases(self) -> Leases:
        """Raises LogUnavailable."""
        leases: Leases = await self.dispatch.state(LEASES, node_id(self.name))
        return leases

    async def room(self, holder: UUID, wish: Wish) -> TakeLease:
        """What there is just now, as the command that takes some of it. Raises LogUnavailable."""
        held = (await self.leases()).held
        ports, gpus = await asyncio.to_thread(self._look, await self.devices(), frozenset(held))
        return TakeLease(node=self.name, holder=holder, kind="deployment", wish=wish, ports=ports, gpus=gpus)

    async def lease(self, holder: UUID, wish: Wish) -> LeaseTaken:
        """The holder's lease, a new one where it has none, its port is a stranger's now or its GPU has moved.

        Raises Refused (no_free_port, no_gpu) and LogUnavailable.
        """
        async with self.taking:  # one after the other here, so that only other processes' are in the way
            held = (await self.leases()).held.get(holder)
            if held is not None and await asyncio.to_thread(self._still_has, held, await self.devices()):
                return held
            if held is not None:
                await self.release(holder)
            while True:
                try:
                    taken = await self.dispatch(await self.room(holder, wish), _origin())
                except Refused as refused:
                    if refused.code != "too_much_contention":
                        raise
                else:
                    lease: LeaseTaken = taken.state.held[holder]
                    return lease

    async def release(self, holder: UUID) -> None:
        """Raises LogUnavailable."""
        while True:
            try:
                await self.dispatch(ReleaseLease(node=self.name, holder=holder), _origin())
            except Refused as refused:
                if refused.code != "too_much_contention":
                    raise
            else:
                return

    async def healthy(self, deployment: Deployment, attempt: Attempt, timeout: float = 2.0) -> bool:
        """Whether its server answers so just now, within `timeout` seconds, and not somebody else in its place."""
        assert deployment.placed is not None
        assert deployment.requested is not None
        port, path = deployment.placed.port, deployment.requested.health_path
        if not await self.health.probe(in_url(reachable(self.host)), port, path, timeout):
            return False
        return not await asyncio.to_thread(is_anothers, attempt, port)

    def _still_has(self, lease: LeaseTaken, devices: tuple[Device, ...]) -> bool:
        """A GPU may have another index after the machine was started anew, and nothing tells where none are seen."""
        if lease.port is None or not is_free(self.host, lease.port):
            return False
        places = [(device.index, device.gpu.uuid) for device in devices]
        return not places or all((gpu.index, gpu.uuid) in places for gpu in lease.gpus)

    def _look(
        self, devices: tuple[Device, ...], holders: frozenset[UUID]
    ) -> tuple[tuple[int, ...], tuple[GpuOffer, ...]]:
        return free_ports(self.host, self.ports), offers(devices, holders)


def _origin() -> Origin:
    return Origin(actor=ACTOR, command_id=uuid4())
