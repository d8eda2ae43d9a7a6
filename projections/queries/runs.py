"""The views of runs: facts and telemetry merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Integer, RowMapping, Select, and_, bindparam, func, select

from contracts.runs import Artifact, LogEntry, RunDetail
from contracts.times import naive_iso
from events.runs import RunStatus
from projections.projects import tags_from_column
from projections.queries.cut import NOW, Cut
from projections.queries.run_logs import latest_output, run_log
from projections.tables import artifacts, from_column, projects, run_telemetry, runs
from projections.telemetry import metrics_from_column

LATEST_LOGS = 200
LATEST_LOGS_IN_LISTS = 20

_CHUNK = 100  # runs in one statement: SQLite bounds how deep an OR may go


def run_detail(
    connection: Connection, run_id: UUID, cut: Cut = NOW, *, latest_logs: int = LATEST_LOGS
) -> RunDetail | None:
    """A run with the last `latest_logs` lines of its output, none where it did not exist at the cut."""
    rows = connection.execute(_one(cut.like), {**cut.values, "run": str(run_id)}).mappings().all()
    return _views(connection, rows, cut, latest_logs)[0] if rows else None


class RunPage(msgspec.Struct, frozen=True):
    """Runs in the order of their creation; `after` is where the next page begins, none on the last."""

    items: tuple[RunDetail, ...]
    after: int | None


def run_list(
    connection: Connection,
    project_id: UUID,
    cut: Cut = NOW,
    *,
    after: int = 0,
    limit: int | None = None,
    latest_logs: int = LATEST_LOGS_IN_LISTS,
) -> RunPage | None:
    """The runs of a project, or at most `limit` of those created after position `after`; none where there was no such
    project at the cut.
    """
    known = connection.execute(_known(cut.like), {**cut.values, "project": str(project_id)})
    if known.one_or_none() is None:
        return None
    asked = {"project": str(project_id), "after": after} | ({} if limit is None else {"most": limit + 1})
    rows = connection.execute(_page_of_project(cut.like, limit is not None), {**cut.values, **asked}).mappings().all()
    more = limit is not None and len(rows) > limit
    shown = rows[:limit]
    return RunPage(_views(connection, shown, cut, latest_logs), shown[-1]["created"] if more else None)


def runs_of_project(
    connection: Connection, project_id: UUID, cut: Cut = NOW, *, latest_logs: int = LATEST_LOGS_IN_LISTS
) -> tuple[RunDetail, ...]:
    """The runs of a project that is known to exist, in the order of their creation."""
    rows = connection.execute(_of_project(cut.like), {**cut.values, "project": str(project_id)}).mappings().all()
    return _views(connection, rows, cut, latest_logs)


def run_status(connection: Connection, run_id: UUID) -> RunStatus | None:
    """The status of now, cheaply, none where there is no such run."""
    statement = select(runs.c.status).where(runs.c.id == str(run_id), NOW.holds(runs))
    return connection.execute(statement).scalar_one_or_none()


def run_artifacts(connection: Connection, run_id: UUID, cut: Cut = NOW) -> tuple[Artifact, ...]:
    """What a run left behind, in the order in which it was recorded."""
    return tuple(_artifact(row) for row in _artifacts(connection, [str(run_id)], cut)[str(run_id)])


@cache
def _one(cut: Cut) -> Select[Any]:
    return _at(cut).where(runs.c.id == bindparam("run"))


@cache
def _of_project(cut: Cut) -> Select[Any]:
    return _at(cut).where(runs.c.project_id == bindparam("project"))


@cache
def _page_of_project(cut: Cut, bounded: bool) -> Select[Any]:
    statement = _of_project(cut).where(runs.c.created > bindparam("after"))
    return statement.limit(bindparam("most", type_=Integer)) if bounded else statement


@cache
def _known(cut: Cut) -> Select[str]:
    return select(projects.c.id).where(projects.c.id == bindparam("project"), cut.holds(projects))


def _at(cut: Cut) -> Select[Any]:
    """Runs at the cut, each beside what the output of its attempt had said by then."""
    last_said = (
        select(run_telemetry.c.end_offset)
        .where(
            run_telemetry.c.run_id == runs.c.id,
            run_telemetry.c.attempt == runs.c.attempt,
            cut.stored(run_telemetry),
        )
        .order_by(run_telemetry.c.end_offset.desc())
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )
    said = and_(
        run_telemetry.c.run_id == runs.c.id,
        run_telemetry.c.attempt == runs.c.attempt,
        run_telemetry.c.end_offset == last_said,
    )
    return (
        select(runs, run_telemetry.c.progress.label("said_progress"), run_telemetry.c.metrics.label("said_metrics"))
        .select_from(runs.outerjoin(run_telemetry, said))
        .where(cut.holds(runs))
        .order_by(runs.c.created)
    )


def _views(connection: Connection, rows: Sequence[RowMapping], cut: Cut, latest_logs: int) -> tuple[RunDetail, ...]:
    views: list[RunDetail] = []
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        ids = [row["id"] for row in chunk]
        left_behind = _artifacts(connection, ids, cut)
        output = latest_output(connection, ids, cut, latest_logs)
        views += [
            _view(row, left_behind.get(row["id"], []), output.get(row["id"], []), _queue_position(connection, row, cut))
            for row in chunk
        ]
    return tuple(views)


def _artifacts(connection: Connection, ids: Sequence[str], cut: Cut) -> dict[str, list[RowMapping]]:
    found: dict[str, list[RowMapping]] = defaultdict(list)
    for row in connection.execute(_left_behind(cut.like), {**cut.values, "runs": ids}).mappings():
        found[row["run_id"]].append(row)
    return found


@cache
def _left_behind(cut: Cut) -> Select[Any]:
    return (
        select(artifacts)
        .where(artifacts.c.run_id.in_(bindparam("runs", expanding=True)), cut.holds(artifacts))
        .order_by(artifacts.c.run_id, artifacts.c.created)
    )


def _queue_position(connection: Connection, row: RowMapping, cut: Cut) -> int | None:
    if row["status"] != "pending" or row["queued_at"] is None or row["attempt"]:
        return None
    waiting = (runs.c.status == "pending", runs.c.queued_at.is_not(None), runs.c.attempt == 0)
    ahead = select(func.count()).where(
        cut.holds(runs), *waiting, runs.c.node == row["node"], runs.c.created < row["created"]
    )
    return 1 + connection.execute(ahead).scalar_one()


def _view(
    row: RowMapping, left_behind: Sequence[RowMapping], output: Sequence[LogEntry], queue_position: int | None
) -> RunDetail:
    resumed = row["resume_source_artifact_id"]
    changes = (row["updated_at"], *(artifact["created_at"] for artifact in left_behind))
    return RunDetail(
        id=UUID(row["id"]),
        project_id=UUID(row["project_id"]),
        status=row["status"],
        created_at=_iso(row["created_at"]),
        updated_at=_iso(max(changes)),
        started_at=None if row["started_at"] is None else _iso(row["started_at"]),
        completed_at=None if row["completed_at"] is None else _iso(row["completed_at"]),
        progress=max(row["progress"], row["said_progress"] or 0.0),
        metrics={} if row["said_metrics"] is None else metrics_from_column(row["said_metrics"]),
        start_command=row["start_command"],
        artifacts=tuple(_artifact(artifact) for artifact in left_behind),
        logs=run_log(row, output),
        resume_source_artifact_id=None if resumed is None else UUID(resumed),
        node=row["node"],
        executor=row["executor"],
        exit_code=row["exit_code"],
        failure_cause=row["failure_cause"],
        failure_reason=row["failure_reason"],
        queue_position=queue_position,
        max_wall_seconds=row["max_wall_seconds"],
        dataset=row["dataset"],
        dataset_id=None if row["dataset_id"] is None else UUID(row["dataset_id"]),
        dataset_version=row["dataset_version"],
        dataset_sha256=row["dataset_sha256"],
        deidentified=None if row["deidentified"] is None else bool(row["deidentified"]),
        training_yaml=row["training_yaml"],
        train_config_version=row["train_config_version"],
        train_config_sha256=row["train_config_sha256"],
    )


def _artifact(row: RowMapping) -> Artifact:
    return Artifact(
        id=UUID(row["id"]),
        name=row["name"],
        type=row["type"],
        path=row["path"],
        created_at=_iso(row["created_at"]),
        tags=tags_from_column(row["tags"]),
        size=row["size"],
        files=row["files"],
        sha256=row["sha256"],
    )


def _iso(microseconds: int) -> str:
    return naive_iso(from_column(microseconds))
