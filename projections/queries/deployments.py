"""The views of deployments, as far as they are on record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, RowMapping, select

from contracts.deployments import DeploymentInfo
from contracts.times import unix_seconds
from events.deployments import DeploymentStatus
from projections.projects import tags_from_column
from projections.queries.cut import NOW, Cut
from projections.tables import artifacts, deployments, from_column


class DeploymentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`model` is a part of the path, `tag` one of the tags; `removed` shows those that were deleted too."""

    model: str | None = None
    tag: str | None = None
    removed: bool = False


def deployment_list(connection: Connection, wanted: DeploymentFilter, cut: Cut = NOW) -> tuple[DeploymentInfo, ...]:
    """In the order of their creation. Texts are compared here, so that every database takes them for equal alike."""
    statement = select(deployments).where(cut.holds(deployments)).order_by(deployments.c.created)
    if not wanted.removed:
        statement = statement.where(deployments.c.removed == 0)
    if wanted.model is not None and "\0" not in wanted.model:  # which not every database takes
        statement = statement.where(deployments.c.model_path.contains(wanted.model, autoescape=True))
    found = (_view(row) for row in connection.execute(statement).mappings())
    return tuple(
        view
        for view in found
        if (wanted.model is None or wanted.model in view.model_path) and (wanted.tag is None or wanted.tag in view.tags)
    )


def deployment_detail(connection: Connection, deployment_id: UUID, cut: Cut = NOW) -> DeploymentInfo | None:
    """None where it does not exist at the cut; one that was removed has `removed`."""
    statement = select(deployments).where(deployments.c.id == str(deployment_id), cut.holds(deployments))
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else _view(row)


def live_deployments_of(connection: Connection, service: UUID, node: str) -> list[UUID]:
    """Those of a deployment service that have not ended, and those of its node that no service has placed yet."""
    columns = deployments.c
    statement = select(columns.id, columns.service, columns.node).where(
        NOW.holds(deployments), columns.status.not_in(("stopped", "failed"))
    )
    found = connection.execute(statement.order_by(columns.created))
    return [UUID(row.id) for row in found if row.service == str(service) or (row.service is None and row.node == node)]


def run_of_artifact(connection: Connection, artifact_id: UUID) -> UUID | None:
    """The run that left an artifact."""
    statement = select(artifacts.c.run_id).where(artifacts.c.id == str(artifact_id), artifacts.c.until.is_(None))
    found = connection.execute(statement).scalar_one_or_none()
    return None if found is None else UUID(found)


def _view(row: RowMapping) -> DeploymentInfo:
    def moment(column: str) -> float | None:
        return None if row[column] is None else unix_seconds(from_column(row[column]))

    def identity(column: str) -> UUID | None:
        return None if row[column] is None else UUID(row[column])

    status: DeploymentStatus = row["status"]
    plain: dict[str, Any] = {
        name: row[name]
        for name in (
            "model_path",
            "model_version",
            "gpu_id",
            "gpu_uuid",
            "port",
            "pid",
            "vllm_cmd",
            "log_file",
            "health_path",
            "node",
            "preferred_gpu",
            "preference",
            "min_free_memory",
            "restart_policy",
            "attempt",
            "exit_code",
            "failure_cause",
            "failure_reason",
        )
    }
    return DeploymentInfo(
        deployment_id=UUID(row["id"]),
        tags=tags_from_column(row["tags"]),
        status=status,
        created_at=unix_seconds(from_column(row["created_at"])),
        started_at=moment("started_at"),
        stopped_at=moment("stopped_at"),
        health_ok=None,
        extra_args=row["extra_args"] or None,
        gpu_required=bool(row["gpu_required"]),
        exclusive=bool(row["exclusive"]),
        survivors=() if row["survivors"] is None else msgspec.json.decode(row["survivors"], type=tuple[int, ...]),
        run_id=identity("run_id"),
        artifact_id=identity("artifact_id"),
        removed=bool(row["removed"]),
        **plain,
    )
