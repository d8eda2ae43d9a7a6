"""Commands on nodes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.nodes import DeclareNodeLost, ForgetNode, RegisterNode, node_id
from events import nodes as node_facts
from services.handlers import nodes
from services.runtime.commands.handler import Aggregate, Handler

NODES = Aggregate(node_facts.NodeFact.context, node_facts.Node(), node_facts.evolve)


def _node(command: Any, _: UUID) -> UUID:
    return node_id(command.name)


HANDLERS: dict[type[Command], Handler] = {
    RegisterNode: Handler(aggregate=NODES, target=_node, decide=nodes.register_node),
    DeclareNodeLost: Handler(aggregate=NODES, target=_node, decide=nodes.declare_node_lost),
    ForgetNode: Handler(aggregate=NODES, target=_node, decide=nodes.forget_node, role="admin"),
}
