"""Tables of policies of de-identification."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String

from projections.tables.columns import fact_table, id_column, moment_column, text_column

policies = fact_table(
    "policies",
    Column("policy_id", String(64), nullable=False),
    Column("version", text_column(), nullable=False),
    Column("deleted", Integer, nullable=False),
    Column("updated_at", moment_column(), nullable=False),
    Index("policies_created", "created"),
)

policy_versions = fact_table(
    "policy_versions",
    Column("policy", id_column(), nullable=False),
    Column("version", text_column(), nullable=False),
    Column("content", text_column(), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("uploaded_at", moment_column(), nullable=False),
    Index("policy_versions_policy", "policy", "created"),
)
