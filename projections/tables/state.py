"""The projector's own state."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table

from projections.tables.columns import (
    MYSQL_OPTIONS,
    state_tables,
)

# One row named FACTS and one named TELEMETRY: whose tables these are, and how far their stream is in them. Below
# `rebuilt_to`, where they were before they were emptied, fact tables show what never was.
projection_state = Table(
    "projection_state",
    state_tables,
    Column("name", String(20), primary_key=True),
    Column("ledger", String(200), nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("rebuilt_to", BigInteger, nullable=False, server_default="0"),
    **MYSQL_OPTIONS,
)

FACTS = "facts"
TELEMETRY = "telemetry"
