"""What every table is made of: kinds of columns, and the system-versioned fact table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# The default TEXT of MySQL ends at 64 KiB, and its default collation takes 'A' and 'a' for equal.
MYSQL_OPTIONS: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"), ("engine", "InnoDB"))
}


def id_column() -> TypeEngine[str]:
    """A UUID as text, which every database and everybody who opens one can read."""
    narrow = mysql.VARCHAR(36, charset="ascii", collation="ascii_bin")
    return String(36).with_variant(narrow, "mysql", "mariadb")


def to_id(identifier: UUID) -> str:
    text: str = msgspec.to_builtins(identifier)  # many times as fast as UUID's own method
    return text


def text_column() -> TypeEngine[str]:
    return Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def moment_column() -> TypeEngine[int]:
    """Microseconds since 1970: exact, ordered and the same in every database, whatever its time zone settings."""
    return BigInteger()


def to_column(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def from_column(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


fact_tables = MetaData()
telemetry_tables = MetaData()
state_tables = MetaData()


def fact_table(name: str, *columns: Column[Any] | Index) -> Table:
    """A system-versioned table: a row version holds from the fact at `since` up to, not including, that at `until`.

    The version of now has no `until`. `created` is the position of the fact that made the row's first version.
    No index holds `until`, so that closing a version touches the row alone.
    """
    return Table(
        name,
        fact_tables,
        Column("id", id_column(), primary_key=True),
        Column("since", BigInteger, primary_key=True, autoincrement=False),
        Column("until", BigInteger),
        Column("created", BigInteger, nullable=False),
        *columns,
        **MYSQL_OPTIONS,
    )
