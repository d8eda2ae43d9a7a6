"""Leases of a node's ports and GPUs: commands of the services that hold them."""

from __future__ import annotations

from uuid import UUID

import msgspec

from contracts.command import Command
from events.leases import HolderKind


class GpuOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU as its node sees it now, memory in bytes; `foreign` is what holders of leases have no part in."""

    index: int
    uuid: str
    memory_total: int
    memory_free: int
    foreign_memory: int = 0
    foreign_processes: int = 0


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder needs: `gpus` of them, each alone or with `memory` bytes free; 0 for any that there is, or none."""

    port: bool = True
    gpus: int = 0
    preferred_gpu: int | None = None
    memory: int = 0
    exclusive: bool = False


class TakeLease(Command, frozen=True, kw_only=True):
    """`ports` are those that nobody listens on, in the order in which they are liked; `gpus` all there are.

    A holder that has a lease keeps it.
    """

    node: str
    holder: UUID
    kind: HolderKind
    wish: Wish
    ports: tuple[int, ...]
    gpus: tuple[GpuOffer, ...]


class ReleaseLease(Command, frozen=True, kw_only=True):
    """A holder that has none changes nothing."""

    node: str
    holder: UUID
