"""Nodes, as commands on them are answered."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from contracts.nodes import ForgottenNode
from events.event import Recorded
from events.nodes import Node, NodeRegistered


def forgotten_node(_: UUID, __: Node, recorded: Sequence[Recorded]) -> ForgottenNode:
    name = next(entry.fact.name for entry in reversed(recorded) if isinstance(entry.fact, NodeRegistered))
    return ForgottenNode(name=name)
