"""Which state of the tables a query sees: that of now, or that of a position in the past."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Table, and_, or_, true

from projections.tables import to_column


class Cut(msgspec.Struct, frozen=True):
    """The state after the fact at `position`, with the telemetry stored up to `moment`; of now where both are none.

    `moment` is when the log stored that fact, or the later one that was asked for.
    """

    position: int | None = None
    moment: datetime | None = None

    def holds(self, table: Table) -> ColumnElement[bool]:
        """The row versions of a fact table that hold at the cut, at most one of each row."""
        if self.position is None:
            return table.c.until.is_(None)
        return and_(
            table.c.since <= self.position,
            or_(table.c.until.is_(None), table.c.until > self.position),
        )

    def begins(self, table: Table) -> ColumnElement[bool]:
        """The first version of each row that exists at the cut or did before: for counting, without reading rows."""
        first = table.c.since == table.c.created
        return first if self.position is None else and_(first, table.c.since <= self.position)

    def stored(self, table: Table) -> ColumnElement[bool]:
        """The rows of a telemetry table that had been stored at the cut."""
        return true() if self.moment is None else table.c.stored_at <= to_column(self.moment)


NOW = Cut()
