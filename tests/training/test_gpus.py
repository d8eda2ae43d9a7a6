"""Runs that get GPUs of their own, from the leases that deployments take theirs from too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from msgspec.structs import replace

from contracts.leases import GpuOffer, ReleaseLease, TakeLease, Wish
from contracts.nodes import node_id
from events.leases import Leases
from events.runs import RunAssigned, RunCanceled, RunCompleted, RunQueued, RunStarted
from services.runtime.commands import LEASES
from services.runtime.dispatch import load
from services.training.consumer import Consumer
from services.training.gpus import RunGpus
from services.training.slots import Slots
from tests.deployments.place import GIB, GpusTwin
from tests.training.ledger import BOUND, Ledger, origin


@asynccontextmanager
async def training_service(book: Ledger, gpus: GpusTwin, count: int | None = 1) -> AsyncIterator[None]:
    slots = Slots(by_gpu=count is not None)
    leasing = RunGpus(book.log, book.dispatch, book.name, gpus, slots, count)
    consumer = asyncio.create_task(Consumer(replace(book.node(), slots=slots, gpus=leasing), book.checkpoint).run())
    try:
        yield
    finally:
        consumer.cancel()
        async with asyncio.timeout(BOUND):
            await asyncio.wait([consumer])
        if not consumer.cancelled():
            consumer.result()


async def held(book: Ledger) -> dict[UUID, list[int]]:
    leases: Leases = (await load(book.log, LEASES, node_id(book.name))).state
    return {holder: [gpu.index for gpu in lease.gpus] for holder, lease in leases.held.items()}


async def nothing_held(book: Ledger) -> None:
    async with asyncio.timeout(BOUND):
        while await held(book):  # noqa: ASYNC110 - the service gives back after the end is on record
            await asyncio.sleep(0.01)


def gated(gate: Path) -> tuple[str, ...]:
    told = "echo $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER > ${TRAINLEDGER_RUN%/*}"
    return ("bash", "-c", f"{told}; until [ -e {gate} ]; do sleep 0.02; done")


async def take(book: Ledger, holder: UUID, *indexes: int) -> None:
    """As a deployment does."""
    offers = tuple(
        GpuOffer(index=index, uuid=f"GPU-{index}", memory_total=80 * GIB, memory_free=80 * GIB) for index in indexes
    )
    wish = Wish(port=False, gpus=len(indexes))
    command = TakeLease(node=book.name, holder=holder, kind="deployment", wish=wish, ports=(), gpus=offers)
    await book.dispatch(command, origin())


async def test_each_run_has_gpus_of_its_own_and_further_ones_wait(book: Ledger, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with training_service(book, GpusTwin(80, 80, 80, 80), 2):
        runs = [await book.request(*gated(gate)) for _ in range(3)]
        await asyncio.gather(*(book.fact(run_id, RunStarted) for run_id in runs[:2]))
        assert (await book.fact(runs[2], RunQueued)).ahead == 0
        assert await held(book) == {runs[0]: [0, 1], runs[1]: [2, 3]}
        gate.touch()
        for run_id in runs:
            await book.fact(run_id, RunCompleted)
        await nothing_held(book)
    seen = [(book.root / str(run_id)).read_text() for run_id in runs]
    assert seen[:2] == ["0,1 PCI_BUS_ID\n", "2,3 PCI_BUS_ID\n"]
    assert seen[2] in seen[:2]
    assert RunQueued not in [type(fact) for fact in await book.facts(runs[1])]


async def test_a_run_waits_for_a_deployment_and_for_strangers(book: Ledger, tmp_path: Path) -> None:
    gate, deployment = tmp_path / "gate", uuid4()
    gate.touch()
    await take(book, deployment, 0)
    async with training_service(book, GpusTwin(80)):
        first, second = [await book.request(*gated(gate)) for _ in range(2)]
        assert [(await book.fact(run_id, RunQueued)).ahead for run_id in (first, second)] == [0, 1]
        await book.request_cancel(first)
        await book.fact(first, RunCanceled)
        assert await held(book) == {deployment: [0]}
        await book.dispatch(ReleaseLease(node=book.name, holder=deployment), origin())
        await book.fact(second, RunCompleted)
        await nothing_held(book)


async def test_leases_outlive_the_service_and_none_is_left_behind(book: Ledger, tmp_path: Path) -> None:
    gate, gpus = tmp_path / "gate", GpusTwin(80)
    async with training_service(book, gpus):
        first, second = [await book.request(*gated(gate)) for _ in range(2)]
        await book.fact(first, RunStarted)
        await book.fact(second, RunQueued)
    # Killed between the end of a run and the release of what it had, and before it wrote down whom it had accepted.
    ended, unknown = await book.request("true"), uuid4()
    await book.request_cancel(ended)
    book.checkpoint.unlink()
    offer = GpuOffer(index=1, uuid="GPU-1", memory_total=80 * GIB, memory_free=80 * GIB)
    for holder, free in ((ended, offer), (unknown, replace(offer, index=2, uuid="GPU-2"))):
        wish = Wish(port=False, gpus=1, exclusive=True)
        leaked = TakeLease(node=book.name, holder=holder, kind="run", wish=wish, ports=(), gpus=(free,))
        await book.dispatch(leaked, origin())
    async with training_service(book, gpus, None):  # runs that have a lease keep it, whatever is set now
        async with asyncio.timeout(BOUND):
            while await held(book) != {first: [0]}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await book.fact(second, RunStarted)
        gate.touch()
        await book.fact(first, RunCompleted)
        await nothing_held(book)


async def test_a_lease_that_was_taken_before_the_launch_is_used(book: Ledger, tmp_path: Path) -> None:
    """The service was killed between the two."""
    gate = tmp_path / "gate"
    gate.touch()
    run_id = await book.request(*gated(gate))
    offer = GpuOffer(index=3, uuid="GPU-3", memory_total=80 * GIB, memory_free=80 * GIB)
    wish = Wish(port=False, gpus=1, exclusive=True)
    await book.dispatch(
        TakeLease(node=book.name, holder=run_id, kind="run", wish=wish, ports=(), gpus=(offer,)), origin()
    )
    async with training_service(book, GpusTwin()):
        await book.fact(run_id, RunCompleted)
        await nothing_held(book)
    assert (book.root / str(run_id)).read_text() == "3 PCI_BUS_ID\n"


async def test_without_enough_gpus_runs_wait(book: Ledger, tmp_path: Path) -> None:
    async with training_service(book, GpusTwin(80), 2):
        run_id = await book.request("true")
        await book.fact(run_id, RunQueued)
        assert RunAssigned not in [type(fact) for fact in await book.facts(run_id)]
        await book.request_cancel(run_id)
        await book.fact(run_id, RunCanceled)
