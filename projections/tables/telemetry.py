"""Tables of what running children say, append-only.

`stored_at` is the stream's store time, by which views of the past are cut. `byte_offset` counts the bytes of all that
an attempt says, whichever of its files they are in; `stream_offset` those of the line's own file.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, String, Table

from projections.tables.columns import (
    MYSQL_OPTIONS,
    id_column,
    moment_column,
    telemetry_tables,
    text_column,
)

logs = Table(
    "logs",
    telemetry_tables,
    Column("run_id", id_column(), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("byte_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("time", moment_column(), nullable=False),
    Column("stored_at", moment_column(), nullable=False),
    Column("level", String(10), nullable=False),
    Column("message", text_column(), nullable=False),
    Column("stream", String(6)),
    Column("stream_offset", BigInteger),
    sqlite_with_rowid=False,  # half the space, and lines that follow each other lie beside each other
    **MYSQL_OPTIONS,
)

metrics = Table(
    "metrics",
    telemetry_tables,
    Column("run_id", id_column(), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("byte_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(200), primary_key=True),
    Column("step", BigInteger),
    Column("value", Double),
    Column("time", moment_column(), nullable=False),
    Column("stored_at", moment_column(), nullable=False),
    Column("source", String(11)),
    Column("stream_offset", BigInteger),
    **MYSQL_OPTIONS,
)

# What an attempt's output said up to byte `end_offset`, a row for each batch that was read: the last row is now,
# and the last row stored before a moment is that moment's. `metrics` is a JSON object of the latest values, `lines` how
# many lines begin before `end_offset`, by which a page far into a long log is found without counting up to it.
run_telemetry = Table(
    "run_telemetry",
    telemetry_tables,
    Column("run_id", id_column(), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("end_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("stored_at", moment_column(), nullable=False),
    Column("progress", Double),
    Column("metrics", text_column(), nullable=False),
    Column("lines", BigInteger),
    Index("run_telemetry_lines", "run_id", "attempt", "lines", "end_offset"),
    **MYSQL_OPTIONS,
)
