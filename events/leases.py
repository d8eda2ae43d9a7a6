"""Leases, what of a node is taken by whom (ports, GPUs): facts, state, evolve."""

from __future__ import annotations

from typing import ClassVar, Literal, assert_never
from uuid import UUID

import msgspec
from msgspec.structs import replace

from events.event import Event

Preference = Literal["granted", "unknown", "unavailable"]
HolderKind = Literal["deployment", "run"]


class LeaseFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "leases"


class LeasedGpu(msgspec.Struct, frozen=True, kw_only=True):
    """`index` is the GPU's on the node, `uuid` its own, empty where the node cannot tell."""

    index: int
    uuid: str = ""

    @property
    def key(self) -> str:
        """What it is known by, also after its index changed."""
        return self.uuid or str(self.index)


class LeaseTaken(LeaseFact, frozen=True, kw_only=True):
    """`holder` has this port and these GPUs of the node, alone where `exclusive`; else `memory` bytes of each.

    `preference` says what became of the GPU that the holder would have liked, none where it named none.
    """

    node: str
    holder: UUID
    kind: HolderKind
    port: int | None = None
    gpus: tuple[LeasedGpu, ...] = ()
    exclusive: bool = False
    memory: int = 0
    preference: Preference | None = None


class LeaseReleased(LeaseFact, frozen=True, kw_only=True):
    holder: UUID


AnyLeaseFact = LeaseTaken | LeaseReleased


class Leases(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken of a node now, by holder."""

    held: dict[UUID, LeaseTaken] = msgspec.field(default_factory=dict)

    @property
    def ports(self) -> frozenset[int]:
        return frozenset(lease.port for lease in self.held.values() if lease.port is not None)

    def of_gpu(self, key: str) -> list[LeaseTaken]:
        """Those who have this GPU."""
        return [lease for lease in self.held.values() if any(gpu.key == key for gpu in lease.gpus)]


def evolve(leases: Leases, fact: AnyLeaseFact) -> Leases:
    match fact:
        case LeaseTaken():
            return replace(leases, held=leases.held | {fact.holder: fact})
        case LeaseReleased():
            return replace(
                leases, held={holder: lease for holder, lease in leases.held.items() if holder != fact.holder}
            )
        case _:
            assert_never(fact)
