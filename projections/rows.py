"""A unit of work on system-versioned tables: the current rows of a batch, and the versions it makes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from math import nan
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Select, Table, bindparam, select
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import UpdateBase

from events.event import Recorded
from projections.tables import to_column, to_id

Row = dict[str, Any]

_CHUNK = 500  # ids in one IN list
_SQLITE_PARAMETERS = 16_000  # in one statement; SQLite takes twice as many

_encode = msgspec.json.Encoder().encode


class Rows:
    """Collects what a batch of facts changes and writes it in as few statements as there are tables.

    `after` is the position before the batch. A version that is closed in the batch that opened it is written once,
    complete.
    """

    def __init__(self, after: int, facts: Sequence[Recorded]) -> None:
        self._after = after
        self._current: dict[tuple[Table, str], Row] = {}
        self._new: defaultdict[Table, list[Row]] = defaultdict(list)
        self._closed: defaultdict[Table, list[Row]] = defaultdict(list)
        self._position = after
        # Much faster than to look into every column.
        self._clean = b"\\u0000" not in _encode([recorded.fact for recorded in facts])
        self.aggregate_id = ""
        self.actor = ""
        self.time = 0

    def fetch(self, connection: Connection, table: Table, ids: Iterable[UUID]) -> None:
        """Reads the current rows of these ids; only fetched and new rows can be changed."""
        wanted = [to_id(identifier) for identifier in ids]
        for first in range(0, len(wanted), _CHUNK):
            for found in connection.execute(_current(table), {"ids": wanted[first : first + _CHUNK]}).mappings():
                self._current[table, found["id"]] = dict(found)

    def begin(self, recorded: Recorded) -> None:
        """What is added and changed from here on follows from this fact.

        `aggregate_id`, `actor` and `time`, when it was decided, are then as columns hold them.
        """
        meta = recorded.meta
        self.aggregate_id = to_id(meta.aggregate_id)
        self.actor = storable(meta.origin.actor)
        self._position = meta.position
        self.time = to_column(meta.time)

    def add(self, table: Table, identifier: str | None = None, **columns: Any) -> None:
        """A row that did not exist before the fact, with the aggregate's id where none is given, and else NULL."""
        row = _blank(table) | (columns if self._clean else _storable(columns))
        row["id"] = identifier or self.aggregate_id
        row["since"] = row["created"] = self._position
        self._current[table, row["id"]] = row
        self._new[table].append(row)

    def knows(self, table: Table, identifier: str) -> bool:
        """Whether there is such a row, of those that were fetched or are new."""
        return (table, identifier) in self._current

    def current(self, table: Table, identifier: str) -> Row:
        """A row as it is now, to be read only. LookupError: there is no such row."""
        return self._current[table, identifier]

    def change(self, table: Table, identifier: str | None = None, **columns: Any) -> None:
        """A new version of a row, the aggregate's where none is said, from the fact on. LookupError: there is none."""
        key = (table, identifier or self.aggregate_id)
        old = self._current[key]
        new = old | (columns if self._clean else _storable(columns))
        new["since"] = self._position
        if old["since"] <= self._after:
            self._closed[table].append(old)
        old["until"] = self._position
        self._current[key] = new
        self._new[table].append(new)

    def flush(self, connection: Connection) -> None:
        """Writes everything, in the transaction of the connection."""
        for table, closed in self._closed.items():
            _execute_many(connection, _closing(table), closed)
        for table, new in self._new.items():
            insert_values(connection, table, map(dict.values, new))


@cache
def _blank(table: Table) -> Row:
    """Every row is made of it, so all hold their values in the order of the columns."""
    return dict.fromkeys(table.columns.keys())


def _storable(columns: Row) -> Row:
    return {name: storable(value) if isinstance(value, str) else value for name, value in columns.items()}


def storable(text: str) -> str:
    """PostgreSQL takes no NUL in a text, and a fact or a line that holds one must not stop the projector."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def insert_all(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Inserts complete rows: a value for every column."""
    insert_values(connection, table, map(itemgetter(*table.columns.keys()), rows))


def insert_values(connection: Connection, table: Table, rows: Iterable[Collection[Any]]) -> None:
    """Inserts complete rows, which have their values in the order of the table's columns."""
    values = list(rows)
    if not values:
        return
    text, positional = _inserting(table, connection.dialect)
    if connection.dialect.name != "sqlite":
        names = table.columns.keys()
        connection.exec_driver_sql(
            text, [tuple(row) if positional else dict(zip(names, row, strict=True)) for row in values]
        )
        return
    # The driver gives Python's lock away at every statement, and gets it back from a thread that is busy, such as the
    # one that reads the log, only after 5 ms: one statement for each row would make a rebuild several times slower.
    # Numbers of rows are powers of two, so that there are few statements to keep prepared.
    most = _SQLITE_PARAMETERS // len(table.columns)
    while values:
        count = 1 << min(len(values), most).bit_length() - 1
        # For each None the driver looks for an adapter, at length; NaN it gives to SQLite, which stores it as NULL.
        flat = tuple([nan if value is None else value for value in chain.from_iterable(values[:count])])
        connection.exec_driver_sql(_of_many_rows(text, count), flat)
        del values[:count]


@cache
def _of_many_rows(text: str, rows: int) -> str:
    """An INSERT of one row of placeholders as one of many."""
    head, _, row = text.partition(" VALUES ")
    return f"{head} VALUES {', '.join([row] * rows)}"


@cache
def _current(table: Table) -> Select[Any]:
    return select(table).where(table.c.id.in_(bindparam("ids", expanding=True)), table.c.until.is_(None))


@cache
def _inserting(table: Table, dialect: Dialect) -> tuple[str, bool]:
    """An INSERT of one row, and whether the driver takes its values by their order."""
    compiled = table.insert().compile(dialect=dialect)
    return str(compiled), compiled.positional


@cache
def _closing(table: Table) -> UpdateBase:
    return (
        table.update()
        .where(table.c.id == bindparam("row_id", type_=table.c.id.type), table.c.since == bindparam("row_since"))
        .values(until=bindparam("row_until"))
    )


def _execute_many(connection: Connection, statement: UpdateBase, rows: Iterable[Mapping[str, Any]]) -> None:
    """Hands all rows to the driver at once.

    Several times faster than SQLAlchemy's own executemany, which processes each value of each row: the tables hold
    only what drivers take as it is (text, numbers, none).
    """
    text, parameters = _compiled(statement, connection.dialect)
    values = [parameters(row) for row in rows]
    if values:
        connection.exec_driver_sql(text, values)


# Parameters of `_closing` may not be named as columns are.
_COLUMN_OF = {"row_id": "id", "row_since": "since", "row_until": "until"}


@cache
def _compiled(statement: UpdateBase, dialect: Dialect) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
    compiled = statement.compile(dialect=dialect)
    names = compiled.positiontup if compiled.positional else list(compiled.params)
    columns = [_COLUMN_OF.get(name, name) for name in names or ()]
    if compiled.positional:
        return str(compiled), itemgetter(*columns)
    pairs = tuple(zip(names or (), columns, strict=True))
    return str(compiled), lambda row: {name: row[column] for name, column in pairs}
