"""Which state of the tables a query sees: that of now, or that of a position in the past."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from sqlalchemy import BigInteger, BindParameter, ColumnElement, Table, and_, bindparam, or_, true

from projections.tables import to_column


class Cut(msgspec.Struct, frozen=True):
    """The state after the fact at `position`, with the telemetry stored up to `moment`; of now where both are none.

    `moment` is when the log stored that fact, or the later one that was asked for.

    SQLAlchemy needs some 0.3 ms of CPU to build a statement and 0.05 to execute one that it has seen, so statements
    that are asked often are built once for `like` and executed with `values`.
    """

    position: int | None = None
    moment: datetime | None = None

    @property
    def like(self) -> Cut:
        """One cut for all of its kind: NOW, or any in the past."""
        return NOW if self.position is None else _PAST

    @property
    def values(self) -> dict[str, int]:
        """What a statement that was built for `like` is to be executed with, to be asked at this cut."""
        if self.position is None or self.moment is None:
            return {}
        return {"cut_position": self.position, "cut_moment": to_column(self.moment)}

    def holds(self, table: Table) -> ColumnElement[bool]:
        """The row versions of a fact table that hold at the cut, at most one of each row."""
        if self.position is None:
            return table.c.until.is_(None)
        position = _bound("cut_position", self.position)
        return and_(table.c.since <= position, or_(table.c.until.is_(None), table.c.until > position))

    def begins(self, table: Table) -> ColumnElement[bool]:
        """The first version of each row that exists at the cut or did before: for counting, without reading rows."""
        first = table.c.since == table.c.created
        if self.position is None:
            return first
        return and_(first, table.c.since <= _bound("cut_position", self.position))

    def stored(self, table: Table) -> ColumnElement[bool]:
        """The rows of a telemetry table that had been stored at the cut."""
        return true() if self.moment is None else table.c.stored_at <= _bound("cut_moment", to_column(self.moment))


NOW = Cut()
_PAST = Cut(0, datetime(1970, 1, 1, tzinfo=UTC))


def _bound(name: str, value: int) -> BindParameter[int]:
    return bindparam(name, value, BigInteger)
