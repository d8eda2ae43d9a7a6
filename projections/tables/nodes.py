"""Tables of nodes."""

from __future__ import annotations

from sqlalchemy import Column, String

from projections.tables.columns import (
    fact_table,
    moment_column,
    text_column,
)

nodes = fact_table(
    "nodes",
    Column("name", String(64), nullable=False),
    Column("labels", text_column(), nullable=False),
    Column("executor", text_column(), nullable=False),
    Column("training_directory", text_column(), nullable=False),
    Column("registered_at", moment_column(), nullable=False),
    Column("lost_at", moment_column()),
    Column("forgotten_at", moment_column()),
)
