"""Decisions on nodes."""

from __future__ import annotations

from contracts.nodes import DeclareNodeLost, ForgetNode, RegisterNode
from contracts.problems import Refused
from events.nodes import Node, NodeForgotten, NodeLost, NodeRegistered


def register_node(node: Node, command: RegisterNode, _: None) -> tuple[NodeRegistered, ...]:
    registered = NodeRegistered(
        name=command.name,
        labels=command.labels,
        executor=command.executor,
        training_directory=command.training_directory,
    )
    return () if node.registered == registered and not node.lost else (registered,)


def declare_node_lost(node: Node, command: DeclareNodeLost, _: None) -> tuple[NodeLost, ...]:
    if node.registered is None or node.lost:
        return ()
    return (NodeLost(silent_seconds=command.silent_seconds),)


def forget_node(node: Node, command: ForgetNode, _: None) -> tuple[NodeForgotten, ...]:
    """Only of a node that was declared lost: one that is merely unreachable may be at work."""
    if node.registered is None:
        raise Refused("node_not_found", name=command.name)
    if not node.lost:
        raise Refused("node_not_lost", name=command.name)
    return (NodeForgotten(),)
