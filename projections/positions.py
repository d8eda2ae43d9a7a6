"""How far the read models are, and moving on: in the transaction that changes them, by one projector only."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from projections.tables import FACTS, TELEMETRY, fact_tables, fingerprint, projection_state, telemetry_tables

_FINGERPRINTS = {FACTS: fingerprint(fact_tables), TELEMETRY: fingerprint(telemetry_tables)}


class Overtaken(Exception):
    """Another projector moved the position since it was read. The transaction must be rolled back."""


def position_of(connection: Connection, stream: str) -> int:
    """The position up to which FACTS or TELEMETRY is in the tables; 0 before they were prepared for it."""
    statement = select(projection_state.c.position).where(projection_state.c.name == stream)
    return connection.execute(statement).scalar_one_or_none() or 0


def projected_position(connection: Connection) -> int:
    """The position of the last fact that queries in this transaction see."""
    return position_of(connection, FACTS)


def advance(connection: Connection, stream: str, old: int, new: int) -> None:
    """Moves the position, as the transaction's first statement, so that a second projector waits here for the first.

    Raises Overtaken where the position is not `old` any more, or the tables are not of this release's shape.
    """
    moved = connection.execute(
        update(projection_state)
        .where(
            projection_state.c.name == stream,
            projection_state.c.position == old,
            projection_state.c.fingerprint == _FINGERPRINTS[stream],
        )
        .values(position=new)
    )
    if moved.rowcount != 1:
        raise Overtaken
