"""Projects: facts folded into the table `projects`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from events.projects import ProjectArchived, ProjectCreated, ProjectRevised, ProjectUnarchived, revised_fields
from projections.rows import Rows
from projections.tables import projects, to_id


def on_project_created(rows: Rows, fact: ProjectCreated) -> None:
    rows.add(
        projects,
        name=fact.name,
        description=fact.description,
        owner=to_id(fact.owner),
        tags=tags_to_column(fact.tags),
        dataset_name=fact.dataset_name,
        training_yaml_name=fact.training_yaml_name,
        objective=fact.objective,
        task_type=fact.task_type,
        require_deidentified=int(fact.require_deidentified),
        status="active",
        created_at=rows.time,
        updated_at=rows.time,
    )


def on_project_revised(rows: Rows, fact: ProjectRevised) -> None:
    changes = revised_fields(fact)
    if isinstance(fact.owner, UUID):
        changes["owner"] = to_id(fact.owner)
    if "require_deidentified" in changes:
        changes["require_deidentified"] = int(fact.require_deidentified is True)
    if "tags" in changes:
        changes["tags"] = tags_to_column(fact.tags)
    _change(rows, **changes)


def on_project_archived(rows: Rows, _: ProjectArchived) -> None:
    _change(rows, status="archived")


def on_project_unarchived(rows: Rows, _: ProjectUnarchived) -> None:
    _change(rows, status="active")


def _change(rows: Rows, **columns: Any) -> None:
    rows.change(projects, updated_at=rows.time, **columns)


def tags_to_column(tags: object) -> str:
    return msgspec.json.encode(tags).decode()


def tags_from_column(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])
