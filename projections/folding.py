"""Folding a batch of facts into the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Table

from events.event import Recorded
from projections.catalogue import HANDLERS, MAIN_TABLES, NOT_PROJECTED, OTHER_ROWS
from projections.positions import advance
from projections.rows import Rows
from projections.tables import FACTS


def fold(connection: Connection, batch: Sequence[Recorded], after: int) -> int:
    """Applies the facts above position `after` in the caller's transaction and returns the new position.

    Raises Overtaken where the tables are not at `after`; then the caller rolls back.
    """
    fresh = [recorded for recorded in batch if recorded.meta.position > after]
    if not fresh:
        return after
    position = fresh[-1].meta.position
    advance(connection, FACTS, after, position)
    rows = Rows(after, fresh)
    _fetch(connection, rows, fresh)
    for recorded in fresh:
        handler = HANDLERS.get(type(recorded.fact))
        if handler is not None:
            rows.begin(recorded)
            handler(rows, recorded.fact)
        elif type(recorded.fact) not in NOT_PROJECTED:
            raise LookupError(f"no handler for {type(recorded.fact).__name__} at position {recorded.meta.position}")
    rows.flush(connection)
    return position


def _fetch(connection: Connection, rows: Rows, facts: Sequence[Recorded]) -> None:
    """The rows of before this batch that its facts may change."""
    born: defaultdict[Table, set[UUID]] = defaultdict(set)
    wanted: defaultdict[Table, set[UUID]] = defaultdict(set)
    for recorded in facts:
        meta = recorded.meta
        if (main := MAIN_TABLES.get(meta.context)) is not None:
            (wanted if meta.version > 1 else born)[main].add(meta.aggregate_id)
        if (other := OTHER_ROWS.get(type(recorded.fact))) is not None:
            table, ids_of = other
            wanted[table].update(ids_of(recorded.fact))
    for table, ids in wanted.items():
        rows.fetch(connection, table, ids - born[table])
