"""Tables of projects."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String

from projections.tables.columns import (
    fact_table,
    id_column,
    moment_column,
    text_column,
)

projects = fact_table(
    "projects",
    Column("name", text_column(), nullable=False),
    Column("description", text_column()),
    Column("owner", id_column(), nullable=False),
    Column("tags", text_column(), nullable=False),
    Column("dataset_name", text_column(), nullable=False),
    Column("training_yaml_name", text_column(), nullable=False),
    Column("objective", text_column()),
    Column("task_type", text_column()),
    Column("require_deidentified", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", moment_column(), nullable=False),
    Column("updated_at", moment_column(), nullable=False),
    Index("projects_created", "created"),
)
