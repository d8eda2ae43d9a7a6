"""Nodes, the machines that train: facts, state, evolve."""

from __future__ import annotations

from typing import ClassVar, assert_never

import msgspec
from msgspec.structs import replace

from events.event import Event


class NodeFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "nodes"


class NodeRegistered(NodeFact, frozen=True, kw_only=True):
    """The node is there, for the first time, described anew or again after it was lost.

    `executor` is that of its new runs, `training_directory` absolute on the node.
    """

    name: str
    labels: dict[str, str]
    executor: str
    training_directory: str


class NodeLost(NodeFact, frozen=True, kw_only=True):
    """No heartbeat of the node was stored for `silent_seconds`, in which others were."""

    silent_seconds: float


class NodeForgotten(NodeFact, frozen=True, kw_only=True):
    """Somebody said that the lost node will not come back; it is shown no longer, unless it does."""


AnyNodeFact = NodeRegistered | NodeLost | NodeForgotten


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node as its facts tell it; `registered` is none before it was there. Whether it lives is telemetry."""

    registered: NodeRegistered | None = None
    lost: bool = False


def evolve(node: Node, fact: AnyNodeFact) -> Node:
    match fact:
        case NodeRegistered():
            return replace(node, registered=fact, lost=False)
        case NodeLost():
            return replace(node, lost=True)
        case NodeForgotten():
            return Node()
        case _:
            assert_never(fact)
