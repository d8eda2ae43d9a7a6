"""The tables of the read models: system-versioned fact tables, append-only telemetry, and the projector's own state."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table, Text, text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

# Raised by hand when handlers fold differently into the same columns; a changed column needs no new number.
SCHEMA_VERSION = 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# The default TEXT of MySQL ends at 64 KiB, and its default collation takes 'A' and 'a' for equal.
_MYSQL_OPTIONS: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"), ("engine", "InnoDB"))
}


def _id() -> TypeEngine[str]:
    """A UUID as text, which every database and everybody who opens one can read."""
    narrow = mysql.VARCHAR(36, charset="ascii", collation="ascii_bin")
    return String(36).with_variant(narrow, "mysql", "mariadb")


def _text() -> TypeEngine[str]:
    return Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def _moment() -> TypeEngine[int]:
    """Microseconds since 1970: exact, ordered and the same in every database, whatever its time zone settings."""
    return BigInteger()


def to_column(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def from_column(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


fact_tables = MetaData()
telemetry_tables = MetaData()
state_tables = MetaData()


def _fact_table(name: str, *columns: Column[Any] | Index) -> Table:
    """A system-versioned table: a row version holds from the fact at `since` up to, not including, that at `until`.

    The version of now has no `until`. `created` is the position of the fact that made the row's first version.
    No index holds `until`, so that closing a version touches the row alone.
    """
    return Table(
        name,
        fact_tables,
        Column("id", _id(), primary_key=True),
        Column("since", BigInteger, primary_key=True, autoincrement=False),
        Column("until", BigInteger),
        Column("created", BigInteger, nullable=False),
        *columns,
        **_MYSQL_OPTIONS,
    )


projects = _fact_table(
    "projects",
    Column("name", String(200), nullable=False),
    Column("description", _text()),
    Column("owner", _id(), nullable=False),
    Column("tags", _text(), nullable=False),
    Column("dataset_name", _text(), nullable=False),
    Column("training_yaml_name", _text(), nullable=False),
    Column("objective", _text()),
    Column("task_type", _text()),
    Column("status", String(20), nullable=False),
    Column("created_at", _moment(), nullable=False),
    Column("updated_at", _moment(), nullable=False),
    Index("projects_created", "created"),
)

_LIVE = "until IS NULL AND completed_at IS NULL"

runs = _fact_table(
    "runs",
    Column("project_id", _id(), nullable=False),
    Column("status", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("node", _text(), nullable=False),
    Column("executor", _text()),
    Column("dataset", _text(), nullable=False),
    Column("training_yaml", _text(), nullable=False),
    Column("start_command", _text(), nullable=False),
    Column("progress", Double, nullable=False),
    Column("resume_source_artifact_id", _id()),
    Column("exit_code", Integer),
    Column("failure_cause", String(40)),
    Column("failure_reason", _text()),
    Column("created_at", _moment(), nullable=False),
    Column("updated_at", _moment(), nullable=False),
    Column("started_at", _moment()),
    Column("cancel_requested_at", _moment()),
    Column("completed_at", _moment()),
    Column("queued_at", _moment()),
    Column("max_wall_seconds", Double),
    Column("notes", _text()),
    Index("runs_project", "project_id", "created", "since"),
    # Found among any number of ended runs; MySQL knows no index on some rows only, and reads them all.
    Index("runs_live", "created", sqlite_where=text(_LIVE), postgresql_where=text(_LIVE)),
)

nodes = _fact_table(
    "nodes",
    Column("name", String(64), nullable=False),
    Column("labels", _text(), nullable=False),
    Column("executor", _text(), nullable=False),
    Column("training_directory", _text(), nullable=False),
    Column("registered_at", _moment(), nullable=False),
    Column("lost_at", _moment()),
)

artifacts = _fact_table(
    "artifacts",
    Column("run_id", _id(), nullable=False),
    Column("name", _text(), nullable=False),
    Column("type", _text(), nullable=False),
    Column("path", _text(), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("tags", _text(), nullable=False),
    Column("created_at", _moment(), nullable=False),
    Index("artifacts_run", "run_id", "created"),
)

# Telemetry. `stored_at` is the stream's store time, by which views of the past are cut.
logs = Table(
    "logs",
    telemetry_tables,
    Column("run_id", _id(), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("byte_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("time", _moment(), nullable=False),
    Column("stored_at", _moment(), nullable=False),
    Column("level", String(10), nullable=False),
    Column("message", _text(), nullable=False),
    **_MYSQL_OPTIONS,
)

metrics = Table(
    "metrics",
    telemetry_tables,
    Column("run_id", _id(), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("byte_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(200), primary_key=True),
    Column("step", BigInteger),
    Column("value", Double),
    Column("time", _moment(), nullable=False),
    Column("stored_at", _moment(), nullable=False),
    **_MYSQL_OPTIONS,
)

# What an attempt's output said up to byte `end_offset`, a row for each batch that was read: the last row is now,
# and the last row stored before a moment is that moment's. `metrics` is a JSON object of the latest values, `lines` how
# many lines begin before `end_offset`, by which a page far into a long log is found without counting up to it.
run_telemetry = Table(
    "run_telemetry",
    telemetry_tables,
    Column("run_id", _id(), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("end_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("stored_at", _moment(), nullable=False),
    Column("progress", Double),
    Column("metrics", _text(), nullable=False),
    Column("lines", BigInteger),
    Index("run_telemetry_lines", "run_id", "attempt", "lines", "end_offset"),
    **_MYSQL_OPTIONS,
)

# One row named FACTS and one named TELEMETRY: whose tables these are, and how far their stream is in them.
projection_state = Table(
    "projection_state",
    state_tables,
    Column("name", String(20), primary_key=True),
    Column("ledger", String(200), nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("position", BigInteger, nullable=False),
    **_MYSQL_OPTIONS,
)

FACTS = "facts"
TELEMETRY = "telemetry"

OUR_NAMES = frozenset(
    table.name for tables in (fact_tables, telemetry_tables, state_tables) for table in tables.sorted_tables
)


def fingerprint(tables: MetaData) -> str:
    """SHA-256 of the definitions in hex: another one means other tables."""
    lines = [
        f"{table.name}.{column.name} {column.type!r} {column.nullable} {column.primary_key}"
        for table in tables.sorted_tables
        for column in table.columns
    ]
    lines += [
        f"{table.name} {index.name} {[column.name for column in index.columns]} {index.unique}"
        for table in tables.sorted_tables
        for index in table.indexes
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
