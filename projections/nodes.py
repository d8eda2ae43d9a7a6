"""Nodes: facts folded into the table `nodes`."""

from __future__ import annotations

from typing import Any

import msgspec

from events.nodes import NodeForgotten, NodeLost, NodeRegistered
from projections.rows import Rows
from projections.tables import nodes


def on_node_registered(rows: Rows, fact: NodeRegistered) -> None:
    columns: dict[str, Any] = {
        "name": fact.name,
        "labels": msgspec.json.encode(fact.labels).decode(),
        "executor": fact.executor,
        "training_directory": fact.training_directory,
        "registered_at": rows.time,
        "lost_at": None,
        "forgotten_at": None,
    }
    try:
        rows.change(nodes, **columns)
    except LookupError:
        rows.add(nodes, **columns)


def on_node_lost(rows: Rows, _: NodeLost) -> None:
    rows.change(nodes, lost_at=rows.time)


def on_node_forgotten(rows: Rows, _: NodeForgotten) -> None:
    rows.change(nodes, forgotten_at=rows.time)
