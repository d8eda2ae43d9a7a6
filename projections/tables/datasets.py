"""Tables of datasets, their files and versions, and of who was given raw data."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String

from projections.tables.columns import (
    fact_table,
    id_column,
    moment_column,
    text_column,
)

datasets = fact_table(
    "datasets",
    Column("name", String(200), nullable=False),
    Column("type", text_column()),
    Column("description", text_column()),
    Column("task_type", text_column()),
    Column("metadata", text_column()),
    Column("retention_days", Integer),
    Column("status", String(20), nullable=False),
    Column("files", Integer, nullable=False),
    Column("invalid_files", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("train_config", text_column()),
    Column("created_at", moment_column(), nullable=False),
    Column("updated_at", moment_column(), nullable=False),
    Index("datasets_created", "created"),
)

dataset_files = fact_table(
    "dataset_files",
    Column("dataset_id", id_column(), nullable=False),
    Column("name", text_column(), nullable=False),
    Column("stored_name", String(255), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("uploaded_at", moment_column(), nullable=False),
    Column("derived_version", Integer),
    Column("verdict", String(20)),
    Column("checked", text_column()),
    Column("removed_at", moment_column()),
    Index("dataset_files_dataset", "dataset_id", "created"),
)

dataset_versions = fact_table(
    "dataset_versions",
    Column("dataset_id", id_column(), nullable=False),
    Column("number", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("deidentified", Integer, nullable=False),
    Column("source", Integer),
    Column("job_id", id_column()),
    Column("policy_id", text_column()),
    Column("policy_version", text_column()),
    Column("created_at", moment_column(), nullable=False),
    Index("dataset_versions_dataset", "dataset_id", "number"),
)

downloads = fact_table(
    "downloads",
    Column("dataset_id", id_column(), nullable=False),
    Column("upload_id", id_column(), nullable=False),
    Column("actor", text_column(), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("first_byte", BigInteger, nullable=False),
    Column("end_byte", BigInteger, nullable=False),
    Column("downloaded_at", moment_column(), nullable=False),
    Index("downloads_dataset", "dataset_id", "created"),
)
