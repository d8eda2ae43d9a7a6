"""How far the read models are, and moving on: in the transaction that changes them, by one projector only."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from projections.tables import (
    FACTS,
    SCHEMA_VERSION,
    TELEMETRY,
    fact_tables,
    fingerprint,
    projection_state,
    telemetry_tables,
)

_FINGERPRINTS = {FACTS: fingerprint(fact_tables), TELEMETRY: fingerprint(telemetry_tables)}


class Overtaken(Exception):
    """Another projector moved the position since it was read. The transaction must be rolled back."""


class NotPrepared(Exception):
    """The tables are being made, or they were made by another release."""


def projected_position(connection: Connection) -> int:
    """The position of the last fact that queries in this transaction see, 0 where there is none."""
    return connection.execute(_PROJECTED).scalar_one_or_none() or 0


def claimed_position(connection: Connection, stream: str) -> int:
    """The position from which a projector goes on in FACTS or TELEMETRY. NotPrepared: it may not."""
    statement = select(projection_state.c.position).where(*_of_this_release(stream))
    position: int | None = connection.execute(statement).scalar_one_or_none()
    if position is None:
        raise NotPrepared(f"the tables of {stream} are not of this release's shape, or not complete yet")
    return position


def advance(connection: Connection, stream: str, old: int, new: int) -> None:
    """Moves the position, as the transaction's first statement, so that a second projector waits here for the first.

    Raises Overtaken where the position is not `old` any more, or the tables are not of this release's shape.
    """
    moved = connection.execute(_ADVANCE[stream], {"old": old, "new": new})
    if moved.rowcount != 1:
        raise Overtaken


def _of_this_release(stream: str) -> tuple[ColumnElement[bool], ...]:
    return (
        projection_state.c.name == stream,
        projection_state.c.schema_version == SCHEMA_VERSION,
        projection_state.c.fingerprint == _FINGERPRINTS[stream],
    )


# Built once: they are part of every question and of every commit.
_PROJECTED = select(projection_state.c.position).where(projection_state.c.name == FACTS)
_ADVANCE = {
    stream: update(projection_state)
    .where(*_of_this_release(stream), projection_state.c.position == bindparam("old"))
    .values(position=bindparam("new"))
    for stream in (FACTS, TELEMETRY)
}
