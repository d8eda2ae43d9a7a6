"""Tables of the training configuration."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String

from projections.tables.columns import (
    fact_table,
    moment_column,
    text_column,
)

# A row for each version; the last one is in force unless it was deleted.
train_configs = fact_table(
    "train_configs",
    Column("version", Integer, nullable=False),
    Column("filename", text_column(), nullable=False),
    Column("stored_name", text_column(), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("actor", text_column(), nullable=False),
    Column("uploaded_at", moment_column(), nullable=False),
    Column("deleted_at", moment_column()),
    Index("train_configs_version", "version"),
)
