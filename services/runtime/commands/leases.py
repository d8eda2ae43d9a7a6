"""Commands on leases."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.leases import ReleaseLease, TakeLease
from contracts.nodes import node_id
from events import leases as lease_facts
from services.handlers import leases
from services.runtime.commands.handler import Aggregate, Handler

LEASES = Aggregate(lease_facts.LeaseFact.context, lease_facts.Leases(), lease_facts.evolve, lasting=True)


def _leases_of(command: Any, _: UUID) -> UUID:
    return node_id(command.node)


HANDLERS: dict[type[Command], Handler] = {
    TakeLease: Handler(aggregate=LEASES, target=_leases_of, decide=leases.take_lease),
    ReleaseLease: Handler(aggregate=LEASES, target=_leases_of, decide=leases.release_lease),
}
