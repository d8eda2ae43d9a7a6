"""Folding a batch of facts into the tables."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

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
    rows = Rows(after)
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
    wanted: dict[str, dict[UUID, bool]] = {context: {} for context in MAIN_TABLES}
    for recorded in facts:
        known = wanted.get(recorded.meta.context)
        if known is not None:
            known.setdefault(recorded.meta.aggregate_id, recorded.meta.version > 1)
    for context, known in wanted.items():
        rows.fetch(connection, MAIN_TABLES[context], (identifier for identifier, older in known.items() if older))
    for kind, (table, ids_of) in OTHER_ROWS.items():
        of_kind = (recorded.fact for recorded in facts if type(recorded.fact) is kind)
        rows.fetch(connection, table, {identifier for fact in of_kind for identifier in ids_of(fact)})
