"""The views of nodes, as far as they are on record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select

from contracts.nodes import NodeDetail
from contracts.times import naive_iso
from projections.queries.cut import NOW, Cut
from projections.tables import from_column, nodes, runs


def node_list(connection: Connection, cut: Cut = NOW) -> tuple[NodeDetail, ...]:
    """All nodes at the cut that are not forgotten, in the order of their first registration.

    Without anything that only the node can say.
    """
    statement = select(nodes).where(cut.holds(nodes), nodes.c.forgotten_at.is_(None)).order_by(nodes.c.created)
    found = connection.execute(statement).mappings().all()
    live = _live_runs(connection, cut) if found else {}
    return tuple(
        NodeDetail(
            name=row["name"],
            labels=msgspec.json.decode(row["labels"], type=dict[str, str]),
            executor=row["executor"],
            training_directory=row["training_directory"],
            status=None if row["lost_at"] is None else "lost",
            registered_at=naive_iso(from_column(row["registered_at"])),
            lost_at=None if row["lost_at"] is None else naive_iso(from_column(row["lost_at"])),
            last_heartbeat=None,
            gpus=None,
            runs=tuple(live.get(row["name"], ())),
        )
        for row in found
    )


def live_runs_of(connection: Connection, node: str) -> Sequence[UUID]:
    """The runs of a node that have not ended."""
    return _live_runs(connection, NOW).get(node, ())


def _live_runs(connection: Connection, cut: Cut) -> dict[str, list[UUID]]:
    """By node. The names are compared here: no database has the column in an index, and few runs are live."""
    statement = (
        select(runs.c.node, runs.c.id).where(cut.holds(runs), runs.c.completed_at.is_(None)).order_by(runs.c.created)
    )
    found: dict[str, list[UUID]] = defaultdict(list)
    for row in connection.execute(statement):
        found[row.node].append(UUID(row.id))
    return found
