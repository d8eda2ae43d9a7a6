"""A checksum over the fact tables: what was folded in one go and what was folded bit by bit must have the same."""

from __future__ import annotations

import hashlib

import msgspec
from sqlalchemy import Connection, select

from projections.tables import fact_tables


def checksum(connection: Connection, position: int) -> str:
    """SHA-256 in hex of every row version as it was after the fact at `position`, the same on every database.

    Compare only checksums of positions that were projected.
    """
    digest = hashlib.sha256()
    encode = msgspec.json.Encoder().encode
    for table in sorted(fact_tables.sorted_tables, key=lambda table: table.name):
        digest.update(table.name.encode())
        statement = select(table).where(table.c.since <= position).order_by(table.c.since, table.c.id)
        with connection.execute(statement.execution_options(yield_per=1_000)) as rows:
            for row in rows.mappings():
                values = dict(row)
                if values["until"] is not None and values["until"] > position:
                    values["until"] = None
                digest.update(encode(values))
    return digest.hexdigest()
