"""Projects, by their facts alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from contracts.projects import ProjectDetail
from contracts.times import naive_iso
from events.event import Recorded
from events.projects import Project

NameOf = Callable[[UUID], str | None]


def project_detail(project_id: UUID, project: Project, recorded: Sequence[Recorded], name_of: NameOf) -> ProjectDetail:
    """A project without its runs. `recorded`: all its facts, oldest first."""
    assert project.owner is not None
    return ProjectDetail(
        id=project_id,
        name=project.name,
        description=project.description,
        owner=name_of(project.owner) or str(project.owner),
        tags=project.tags,
        dataset_name=project.dataset_name,
        training_yaml_name=project.training_yaml_name,
        status="archived" if project.archived else "active",
        created_at=naive_iso(recorded[0].meta.time),
        updated_at=naive_iso(recorded[-1].meta.time),
        runs_started=0,
        objective=project.objective,
        task_type=project.task_type,
        require_deidentified=project.require_deidentified,
        runs=(),
    )
