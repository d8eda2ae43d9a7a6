"""The views of projects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Integer, RowMapping, Select, bindparam, func, select

from contracts.projects import Project, ProjectDetail
from contracts.times import naive_iso
from projections.projects import tags_from_column
from projections.queries.cut import NOW, Cut
from projections.queries.runs import LATEST_LOGS_IN_LISTS, runs_of_project
from projections.tables import from_column, projects, runs

# A person's name by id, none once the person was erased.
NameOf = Callable[[UUID], str | None]

_CHUNK = 500


class ProjectPage(msgspec.Struct, frozen=True):
    """Projects in the order of their creation; `after` is where the next page begins, none on the last."""

    items: tuple[Project, ...]
    after: int | None


def project_list(
    connection: Connection, name_of: NameOf, cut: Cut = NOW, *, after: int = 0, limit: int | None = None
) -> ProjectPage:
    """All projects at the cut, or at most `limit` of those created after position `after`."""
    bounds = {"after": after} if limit is None else {"after": after, "most": limit + 1}
    rows = connection.execute(_created_after(cut.like, limit is not None), cut.values | bounds).mappings().all()
    more = limit is not None and len(rows) > limit
    shown = rows[:limit]
    counts = _runs_started(connection, [row["id"] for row in shown] if after or more else None, cut)
    items = tuple(Project(**_fields(row, counts, name_of)) for row in shown)
    return ProjectPage(items, shown[-1]["created"] if more else None)


def project_detail(
    connection: Connection,
    project_id: UUID,
    name_of: NameOf,
    cut: Cut = NOW,
    *,
    latest_logs: int = LATEST_LOGS_IN_LISTS,
) -> ProjectDetail | None:
    """A project with its runs in the order of their creation, none where it did not exist at the cut.

    `latest_logs` bounds the output lines shown of each run.
    """
    row = _row(connection, project_id, cut)
    if row is None:
        return None
    details = runs_of_project(connection, project_id, cut, latest_logs=latest_logs)
    return ProjectDetail(**_fields(row, {row["id"]: len(details)}, name_of), runs=details)


def project_summary(connection: Connection, project_id: UUID, name_of: NameOf, cut: Cut = NOW) -> Project | None:
    """A project as lists show it, none where it did not exist at the cut."""
    row = _row(connection, project_id, cut)
    if row is None:
        return None
    return Project(**_fields(row, _runs_started(connection, [row["id"]], cut), name_of))


def _row(connection: Connection, project_id: UUID, cut: Cut) -> RowMapping | None:
    return connection.execute(_one(cut.like), {**cut.values, "project": str(project_id)}).mappings().one_or_none()


def _runs_started(connection: Connection, ids: Sequence[str] | None, cut: Cut) -> dict[str, int]:
    """How many runs each project has, of these projects or of all; those without any are left out."""
    if ids is None:
        return {row[0]: row[1] for row in connection.execute(_counted(cut.like), cut.values)}
    counts: dict[str, int] = {}
    for first in range(0, len(ids), _CHUNK):
        of_these = cut.values | {"projects": ids[first : first + _CHUNK]}
        counts |= {row[0]: row[1] for row in connection.execute(_counted_of(cut.like), of_these)}
    return counts


@cache
def _one(cut: Cut) -> Select[Any]:
    return select(projects).where(projects.c.id == bindparam("project"), cut.holds(projects))


@cache
def _created_after(cut: Cut, bounded: bool) -> Select[Any]:
    statement = (
        select(projects)
        .where(cut.holds(projects), projects.c.created > bindparam("after"))
        .order_by(projects.c.created)
    )
    return statement.limit(bindparam("most", type_=Integer)) if bounded else statement


@cache
def _counted(cut: Cut) -> Select[str, int]:
    return select(runs.c.project_id, func.count()).where(cut.begins(runs)).group_by(runs.c.project_id)


@cache
def _counted_of(cut: Cut) -> Select[str, int]:
    return _counted(cut).where(runs.c.project_id.in_(bindparam("projects", expanding=True)))


def _fields(found: RowMapping, counts: dict[str, int], name_of: NameOf) -> dict[str, Any]:
    owner = UUID(found["owner"])
    return {
        "id": UUID(found["id"]),
        "name": found["name"],
        "description": found["description"],
        "owner": name_of(owner) or str(owner),
        "tags": tags_from_column(found["tags"]),
        "dataset_name": found["dataset_name"],
        "training_yaml_name": found["training_yaml_name"],
        "objective": found["objective"],
        "task_type": found["task_type"],
        "require_deidentified": bool(found["require_deidentified"]),
        "status": found["status"],
        "created_at": naive_iso(from_column(found["created_at"])),
        "updated_at": naive_iso(from_column(found["updated_at"])),
        "runs_started": counts.get(found["id"], 0),
    }
