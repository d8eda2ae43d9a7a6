"""The tables of the read models: system-versioned fact tables, append-only telemetry, and the projector's own state."""

from __future__ import annotations

import hashlib

from sqlalchemy import MetaData

from projections.tables.columns import fact_tables, from_column, state_tables, telemetry_tables, to_column, to_id
from projections.tables.datasets import dataset_files, dataset_versions, datasets, downloads
from projections.tables.deid import deid_jobs
from projections.tables.deployments import deployments
from projections.tables.nodes import nodes
from projections.tables.policies import policies, policy_versions
from projections.tables.projects import projects
from projections.tables.runs import artifacts, runs
from projections.tables.state import FACTS, TELEMETRY, projection_state
from projections.tables.telemetry import logs, metrics, run_telemetry
from projections.tables.train_config import train_configs

__all__ = [
    "FACTS",
    "OUR_NAMES",
    "SCHEMA_VERSION",
    "TELEMETRY",
    "artifacts",
    "dataset_files",
    "dataset_versions",
    "datasets",
    "deid_jobs",
    "deployments",
    "downloads",
    "fact_tables",
    "fingerprint",
    "from_column",
    "logs",
    "metrics",
    "nodes",
    "policies",
    "policy_versions",
    "projection_state",
    "projects",
    "run_telemetry",
    "runs",
    "state_tables",
    "telemetry_tables",
    "to_column",
    "to_id",
    "train_configs",
]

# Raised by hand when handlers fold differently into the same columns; a changed column needs no new number.
SCHEMA_VERSION = 1


OUR_NAMES = frozenset(
    table.name for tables in (fact_tables, telemetry_tables, state_tables) for table in tables.sorted_tables
)


def fingerprint(tables: MetaData) -> str:
    """SHA-256 of the definitions in hex: another one means other tables."""
    lines = [
        f"{table.name}.{column.name} {column.type!r} {column.nullable} {column.primary_key}"
        for table in tables.sorted_tables
        for column in table.columns
    ]
    lines += [
        f"{table.name} {index.name} {[column.name for column in index.columns]} {index.unique}"
        for table in tables.sorted_tables
        for index in table.indexes
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
