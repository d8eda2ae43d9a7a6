"""Decisions on leases: who gets which port and which GPUs of a node."""

from __future__ import annotations

from contracts.leases import GpuOffer, ReleaseLease, TakeLease, Wish
from contracts.problems import Refused
from events.leases import LeasedGpu, LeaseReleased, Leases, LeaseTaken, Preference


def take_lease(leases: Leases, command: TakeLease, _: None) -> tuple[LeaseTaken, ...]:
    """Raises Refused (no_free_port, no_gpu) where there is no room."""
    if command.holder in leases.held:
        return ()
    wish = command.wish
    port = choose_port(leases, command.ports) if wish.port else None
    if wish.port and port is None:
        raise Refused("no_free_port", node=command.node)
    gpus, preference = choose_gpus(leases, wish, command.gpus, command.node)
    return (
        LeaseTaken(
            node=command.node,
            holder=command.holder,
            kind=command.kind,
            port=port,
            gpus=gpus,
            exclusive=wish.exclusive,
            memory=wish.memory,
            preference=preference,
        ),
    )


def release_lease(leases: Leases, command: ReleaseLease, _: None) -> tuple[LeaseReleased, ...]:
    return (LeaseReleased(holder=command.holder),) if command.holder in leases.held else ()


def choose_port(leases: Leases, ports: tuple[int, ...]) -> int | None:
    taken = leases.ports
    return next((port for port in ports if port not in taken), None)


def choose_gpus(
    leases: Leases, wish: Wish, offers: tuple[GpuOffer, ...], node: str
) -> tuple[tuple[LeasedGpu, ...], Preference | None]:
    """The preferred one where it will do, else those with most memory left. Raises Refused (no_gpu)."""
    preferred = wish.preferred_gpu
    preference: Preference | None = None
    if preferred is not None:
        preference = "unavailable" if any(offer.index == preferred for offer in offers) else "unknown"
    if not offers and not wish.gpus:
        return (), preference
    fit = [offer for offer in offers if _fits(leases, wish, offer)]
    if len(fit) < max(wish.gpus, 1):
        raise Refused("no_gpu", node=node)
    fit.sort(
        key=lambda offer: (
            offer.index != preferred,
            -memory_left(leases, offer),
            offer.foreign_processes,
            offer.index,
        )
    )
    chosen = fit[: max(wish.gpus, 1)]
    if chosen[0].index == preferred:
        preference = "granted"
    return tuple(LeasedGpu(index=offer.index, uuid=offer.uuid) for offer in chosen), preference


def memory_left(leases: Leases, offer: GpuOffer) -> int:
    """Bytes that nobody uses and nobody was promised; a holder's promise and what it uses already count once."""
    promised = sum(lease.memory for lease in leases.of_gpu(_key(offer)))
    used_by_holders = offer.memory_total - offer.memory_free - offer.foreign_memory
    return offer.memory_total - offer.foreign_memory - max(promised, used_by_holders)


def _fits(leases: Leases, wish: Wish, offer: GpuOffer) -> bool:
    holders = leases.of_gpu(_key(offer))
    if any(lease.exclusive for lease in holders):
        return False
    if wish.exclusive and (holders or offer.foreign_processes):
        return False
    return memory_left(leases, offer) >= wish.memory


def _key(offer: GpuOffer) -> str:
    return LeasedGpu(index=offer.index, uuid=offer.uuid).key
