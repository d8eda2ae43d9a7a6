"""GPUs for runs, from the ledger of leases that the deployments of the node take theirs from too."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID, uuid4

from contracts.leases import ReleaseLease, TakeLease, Wish
from contracts.nodes import node_id
from contracts.problems import Refused
from events.event import Origin
from events.leases import LeasedGpu, LeaseFact, LeaseReleased, Leases
from events.log import EventLog, LogUnavailable
from services.runtime.commands import LEASES
from services.runtime.dispatch import Dispatch
from services.runtime.nodes.gpus import Gpus
from services.runtime.nodes.leasing import offers, visible
from services.training.reports import ACTOR
from services.training.slots import Slots

_log = logging.getLogger(__name__)
_LOOK = 5.0  # seconds; nothing tells when a stranger's process lets a GPU go
_AGAIN = 1.0


class RunGpus:
    """Whoever is first in line gets `count` GPUs of node `node`, alone, or none of them; `count` none: nobody does.

    A lease is on record before its run is launched, and given back after its end is: what is found at the start is
    either that of a run that goes on, or is given back then.
    """

    def __init__(
        self, log: EventLog, dispatch: Dispatch, node: str, gpus: Gpus, slots: Slots, count: int | None = None
    ) -> None:
        self._log = log
        self._dispatch = dispatch
        self._node = node
        self._gpus = gpus
        self._slots = slots
        self._count = count
        self._held: dict[UUID, tuple[LeasedGpu, ...]] = {}
        self._taking = asyncio.Lock()
        self._freed = asyncio.Event()
        self._told = False

    async def recover(self) -> tuple[UUID, ...]:
        """Which runs have a lease, by the ledger. Raises LogUnavailable."""
        held = (await self._leases()).held
        self._held = {holder: lease.gpus for holder, lease in held.items() if lease.kind == "run"}
        for run_id in self._held:
            self._slots.allow(run_id)
        return tuple(self._held)

    def variables(self, run_id: UUID) -> dict[str, str]:
        """What the run is told of its GPUs."""
        held = self._held.get(run_id, ())
        return visible(held) if held else {}

    async def serve(self) -> None:
        """Until it is cancelled."""
        if self._count is None:
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._notice_releases())
            while True:
                run_id = await self._slots.first_in_line()
                self._freed.clear()
                try:
                    taken = await self._give(run_id, self._count)
                except LogUnavailable as error:
                    _log.warning("run %s has to wait for its GPUs: %s", run_id, error)
                    await asyncio.sleep(_AGAIN)
                    continue
                if not taken:
                    await self._wait()

    async def release(self, run_id: UUID) -> None:
        """Gives back what the run has, if anything; waits while the log is away."""
        async with self._taking:
            while run_id in self._held:
                try:
                    await self._dispatch(ReleaseLease(node=self._node, holder=run_id), _origin())
                except LogUnavailable as error:
                    _log.warning("the GPUs of run %s cannot be given back now: %s", run_id, error)
                    await asyncio.sleep(_AGAIN)
                except Refused as refused:
                    if refused.code != "too_much_contention":
                        raise
                else:
                    del self._held[run_id]

    async def _give(self, run_id: UUID, count: int) -> bool:
        """False where it has to wait."""
        async with self._taking:
            if self._slots.first != run_id:  # it has ended meanwhile
                return True
            gpus = await self._take(run_id, count)
            if gpus is None:
                self._slots.refuse(run_id)
                return False
            self._held[run_id] = gpus
            self._slots.allow(run_id)
            return True

    async def _take(self, run_id: UUID, count: int) -> tuple[LeasedGpu, ...] | None:
        """None where there are not so many."""
        held = (await self._leases()).held
        devices = await asyncio.to_thread(self._gpus.devices)
        if len(devices) < count and not self._told:
            self._told = True
            _log.error(
                "TRAINLEDGER_RUN_GPUS is %d, but node %s has %d GPUs: runs wait", count, self._node, len(devices)
            )
        command = TakeLease(
            node=self._node,
            holder=run_id,
            kind="run",
            wish=Wish(port=False, gpus=count, exclusive=True),
            ports=(),
            gpus=await asyncio.to_thread(offers, devices, held),
        )
        try:
            accepted = await self._dispatch(command, _origin())
        except Refused as refused:
            if refused.code not in ("no_gpu", "too_much_contention"):
                raise
            return None
        leases: Leases = accepted.state
        return leases.held[run_id].gpus

    async def _leases(self) -> Leases:
        leases: Leases = await self._dispatch.state(LEASES, node_id(self._node))
        return leases

    async def _notice_releases(self) -> None:
        here = node_id(self._node)
        async for batch in self._log.follow(await self._log.last_position(), (LeaseFact.context,)):
            if any(entry.meta.aggregate_id == here and isinstance(entry.fact, LeaseReleased) for entry in batch):
                self._freed.set()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK):
                await self._freed.wait()
        except TimeoutError:
            return


def _origin() -> Origin:
    return Origin(actor=ACTOR, command_id=uuid4())
