"""Tables of runs and of what they left."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, String, text

from projections.tables.columns import (
    fact_table,
    id_column,
    moment_column,
    text_column,
)

_LIVE = "until IS NULL AND completed_at IS NULL"

runs = fact_table(
    "runs",
    Column("project_id", id_column(), nullable=False),
    Column("status", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("node", text_column(), nullable=False),
    Column("executor", text_column()),
    Column("dataset", text_column(), nullable=False),
    Column("training_yaml", text_column(), nullable=False),
    Column("dataset_id", id_column()),
    Column("dataset_version", Integer),
    Column("dataset_sha256", String(64)),
    Column("deidentified", Integer),
    Column("train_config_version", Integer),
    Column("train_config_sha256", String(64)),
    Column("start_command", text_column(), nullable=False),
    Column("progress", Double, nullable=False),
    Column("resume_source_artifact_id", id_column()),
    Column("exit_code", Integer),
    Column("failure_cause", String(40)),
    Column("failure_reason", text_column()),
    Column("created_at", moment_column(), nullable=False),
    Column("updated_at", moment_column(), nullable=False),
    Column("started_at", moment_column()),
    Column("cancel_requested_at", moment_column()),
    Column("completed_at", moment_column()),
    Column("queued_at", moment_column()),
    Column("max_wall_seconds", Double),
    Column("notes", text_column()),
    Index("runs_project", "project_id", "created", "since"),
    # Found among any number of ended runs; MySQL knows no index on some rows only, and reads them all.
    Index("runs_live", "created", sqlite_where=text(_LIVE), postgresql_where=text(_LIVE)),
)

artifacts = fact_table(
    "artifacts",
    Column("run_id", id_column(), nullable=False),
    Column("name", text_column(), nullable=False),
    Column("type", text_column(), nullable=False),
    Column("path", text_column(), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("tags", text_column(), nullable=False),
    Column("created_at", moment_column(), nullable=False),
    Index("artifacts_run", "run_id", "created"),
)
