"""Decisions on leases: nobody gets what somebody has."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec.structs import replace

from contracts.leases import GpuOffer, ReleaseLease, TakeLease, Wish
from events.leases import LeasedGpu, LeaseReleased, LeaseTaken
from services.runtime.nodes.leasing import visible
from tests.given import given

GIB = 2**30
ONE, TWO = UUID(int=1), UUID(int=2)


def gpu(index: int, free: int = 80, **fields: Any) -> GpuOffer:
    return GpuOffer(index=index, uuid=f"GPU-{index}", memory_total=80 * GIB, memory_free=free * GIB, **fields)


def take(holder: UUID = ONE, *, gpus: tuple[GpuOffer, ...] = (), ports: Any = (8000, 8001), **wish: Any) -> TakeLease:
    return TakeLease(node="gpu-1", holder=holder, kind="deployment", wish=Wish(**wish), ports=ports, gpus=gpus)


def taken(holder: UUID = ONE, port: int = 8000, *gpus: int, **fields: Any) -> LeaseTaken:
    leased = tuple(LeasedGpu(index=index, uuid=f"GPU-{index}") for index in gpus)
    return LeaseTaken(node="gpu-1", holder=holder, kind="deployment", port=port, gpus=leased, **fields)


def test_a_port_is_one_holders() -> None:
    given().when(take()).then(taken())
    given(taken()).when(take()).then()
    given(taken()).when(take(TWO)).then(taken(TWO, 8001))
    given(taken(), taken(TWO, 8001)).when(take(UUID(int=3))).then_refused("no_free_port")
    given(taken(), LeaseReleased(holder=ONE)).when(take(TWO)).then(taken(TWO))


def test_a_lease_is_released_once() -> None:
    release = ReleaseLease(node="gpu-1", holder=ONE)
    given(taken()).when(release).then(LeaseReleased(holder=ONE))
    given(taken(), LeaseReleased(holder=ONE)).when(release).then()


def test_without_a_gpu_there_is_none_unless_one_is_required() -> None:
    given().when(take(preferred_gpu=0)).then(taken(preference="unknown"))
    given().when(take(gpus=(), ports=(8000,), exclusive=True)).then(taken(exclusive=True))
    asking = TakeLease(node="gpu-1", holder=ONE, kind="deployment", wish=Wish(gpus=1), ports=(8000,), gpus=())
    assert given().when(asking).then_refused("no_gpu").status == 503


def test_the_preferred_gpu_then_the_one_with_most_memory_left() -> None:
    gpus = (
        gpu(0, 20, foreign_memory=60 * GIB),
        gpu(1, 70, foreign_memory=10 * GIB),
        gpu(2, 70, foreign_memory=10 * GIB),
    )
    given().when(take(gpus=gpus)).then(taken(ONE, 8000, 1))
    given().when(take(gpus=gpus, preferred_gpu=0)).then(taken(ONE, 8000, 0, preference="granted"))
    given().when(take(gpus=gpus, preferred_gpu=7)).then(taken(ONE, 8000, 1, preference="unknown"))
    given().when(take(gpus=gpus, preferred_gpu=0, memory=30 * GIB)).then(
        taken(ONE, 8000, 1, memory=30 * GIB, preference="unavailable")
    )


def test_memory_that_was_promised_is_not_promised_again() -> None:
    """Also while its holder has yet to load."""
    promised = taken(ONE, 8000, 0, memory=50 * GIB)
    given(promised).when(take(TWO, gpus=(gpu(0, 80),), memory=40 * GIB)).then_refused("no_gpu")
    given(promised).when(take(TWO, gpus=(gpu(0, 80),), memory=30 * GIB)).then(taken(TWO, 8001, 0, memory=30 * GIB))
    # What the holder has loaded counts once, what strangers have counts besides.
    given(promised).when(take(TWO, gpus=(gpu(0, 30),), memory=30 * GIB)).then(taken(TWO, 8001, 0, memory=30 * GIB))
    strangers = gpu(0, 60, foreign_memory=20 * GIB, foreign_processes=1)
    given(promised).when(take(TWO, gpus=(strangers,), memory=30 * GIB)).then_refused("no_gpu")


def test_an_exclusive_gpu_is_nobody_elses() -> None:
    alone = taken(ONE, 8000, 0, exclusive=True)
    given().when(take(gpus=(gpu(0),), exclusive=True)).then(alone)
    given(alone).when(take(TWO, gpus=(gpu(0),))).then_refused("no_gpu")
    given(alone).when(take(TWO, gpus=(gpu(0), gpu(1, 1)))).then(taken(TWO, 8001, 1))
    given(taken(ONE, 8000, 0)).when(take(TWO, gpus=(gpu(0),), exclusive=True)).then_refused("no_gpu")
    strangers = gpu(0, foreign_processes=1)
    given().when(take(gpus=(strangers,), exclusive=True)).then_refused("no_gpu")


def test_instances_of_a_gpu_share_its_index_and_nothing_else() -> None:
    cut = tuple(
        GpuOffer(index=0, uuid=f"MIG-{number}", memory_total=10 * GIB, memory_free=10 * GIB) for number in (1, 2)
    )
    one, other = (LeasedGpu(index=0, uuid=f"MIG-{number}") for number in (1, 2))
    first = replace(taken(preference="granted", exclusive=True), gpus=(one,))
    given().when(take(gpus=cut, preferred_gpu=0, exclusive=True)).then(first)
    second = replace(taken(TWO, 8001, preference="granted", exclusive=True), gpus=(other,))
    given(first).when(take(TWO, gpus=(*cut, gpu(1)), preferred_gpu=0, exclusive=True)).then(second)
    assert visible([gpu for lease in (first, second) for gpu in lease.gpus])["CUDA_VISIBLE_DEVICES"] == "MIG-1,MIG-2"


def test_a_gpu_is_known_by_its_uuid_when_its_index_has_changed() -> None:
    moved = GpuOffer(index=3, uuid="GPU-0", memory_total=80 * GIB, memory_free=80 * GIB)
    given(taken(ONE, 8000, 0, exclusive=True)).when(take(TWO, gpus=(moved,))).then_refused("no_gpu")
