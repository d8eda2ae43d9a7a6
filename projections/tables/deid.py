"""Tables of de-identification."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String

from projections.tables.columns import fact_table, id_column, moment_column, text_column

deid_jobs = fact_table(
    "deid_jobs",
    Column("dataset_id", id_column(), nullable=False),
    Column("dataset_version", Integer, nullable=False),
    Column("dataset_sha256", String(64), nullable=False),
    Column("policy_id", String(64), nullable=False),
    Column("policy_version", text_column(), nullable=False),
    Column("policy_sha256", String(64), nullable=False),
    Column("fields", text_column()),
    Column("seeded", Integer, nullable=False),
    Column("requested_by", text_column(), nullable=False),
    Column("status", String(20), nullable=False),
    Column("node", text_column()),
    Column("cancel_requested", Integer, nullable=False),
    Column("sources", text_column(), nullable=False),
    Column("outputs", text_column()),
    Column("output_version", Integer),
    Column("records", BigInteger),
    Column("counts", text_column()),
    Column("failure", text_column()),
    Column("created_at", moment_column(), nullable=False),
    Column("updated_at", moment_column(), nullable=False),
    Column("started_at", moment_column()),
    Column("completed_at", moment_column()),
    Index("deid_jobs_created", "created"),
    Index("deid_jobs_dataset", "dataset_id", "created"),
)
