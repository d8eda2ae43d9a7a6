"""Tables of deployments."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String

from projections.tables.columns import (
    fact_table,
    id_column,
    moment_column,
    text_column,
)

deployments = fact_table(
    "deployments",
    Column("node", text_column(), nullable=False),
    Column("service", id_column()),
    Column("model_path", text_column(), nullable=False),
    Column("model_version", text_column()),
    Column("tags", text_column(), nullable=False),
    Column("extra_args", text_column(), nullable=False),
    Column("health_path", text_column(), nullable=False),
    Column("preferred_gpu", BigInteger),
    Column("preference", String(20)),
    Column("gpu_required", Integer, nullable=False),
    Column("min_free_memory", BigInteger),
    Column("exclusive", Integer, nullable=False),
    Column("restart_policy", String(20), nullable=False),
    Column("run_id", id_column()),
    Column("artifact_id", id_column()),
    Column("status", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("port", Integer),
    Column("gpu_id", Integer),
    Column("gpu_uuid", text_column()),
    Column("pid", BigInteger),
    Column("vllm_cmd", text_column()),
    Column("log_file", text_column()),
    Column("exit_code", Integer),
    Column("failure_cause", String(40)),
    Column("failure_reason", text_column()),
    Column("survivors", text_column()),
    Column("removed", Integer, nullable=False),
    Column("created_at", moment_column(), nullable=False),
    Column("started_at", moment_column()),
    Column("stopped_at", moment_column()),
    Index("deployments_created", "created"),
)
