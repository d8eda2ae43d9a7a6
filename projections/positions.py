"""How far the read models are, and moving on: in the transaction that changes them, by one projector only."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, update

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


class Projected(NamedTuple):
    """The position of the last fact that the tables show, 0 where there is none, and up to which they are rebuilt."""

    position: int
    rebuilt_to: int

    @property
    def is_rebuilding(self) -> bool:
        """Whether they show neither now nor any past yet."""
        return self.position < self.rebuilt_to


def projected(connection: Connection) -> Projected:
    """How far the fact tables are that queries in this transaction see."""
    row = connection.execute(_PROJECTED).one_or_none()
    return Projected(0, 0) if row is None else Projected(*row)


def expect_rebuild(connection: Connection, last: int) -> None:
    """Has tables that hold nothing yet rebuilt up to the log's end at `last`, and none up to where no log reaches."""
    beyond = projection_state.c.rebuilt_to > last
    begins = and_(projection_state.c.position == 0, projection_state.c.rebuilt_to < last)
    statement = update(projection_state).where(projection_state.c.name == FACTS, or_(beyond, begins))
    connection.execute(statement.values(rebuilt_to=last))


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
_PROJECTED = select(projection_state.c.position, projection_state.c.rebuilt_to).where(projection_state.c.name == FACTS)
_ADVANCE = {
    stream: update(projection_state)
    .where(*_of_this_release(stream), projection_state.c.position == bindparam("old"))
    .values(position=bindparam("new"))
    for stream in (FACTS, TELEMETRY)
}
