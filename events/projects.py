"""Projects: facts, state, evolve."""

from __future__ import annotations

from typing import ClassVar, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from events.event import Event


class ProjectFact(Event, frozen=True, kw_only=True):
    context: ClassVar[str] = "projects"


class ProjectCreated(ProjectFact, frozen=True, kw_only=True):
    """`owner` is a person's id. `require_deidentified`: its runs train on de-identified versions of datasets only."""

    name: str
    owner: UUID
    dataset_name: str
    training_yaml_name: str
    description: str | None = None
    tags: tuple[str, ...] = ()
    objective: str | None = None
    task_type: str | None = None
    require_deidentified: bool = False


class ProjectRevised(ProjectFact, frozen=True, kw_only=True, omit_defaults=True):
    """Only what changed is present."""

    description: str | UnsetType | None = UNSET
    owner: UUID | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    dataset_name: str | UnsetType = UNSET
    training_yaml_name: str | UnsetType = UNSET
    require_deidentified: bool | UnsetType = UNSET


class ProjectArchived(ProjectFact, frozen=True, kw_only=True):
    pass


class ProjectUnarchived(ProjectFact, frozen=True, kw_only=True):
    pass


AnyProjectFact = ProjectCreated | ProjectRevised | ProjectArchived | ProjectUnarchived


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project as its facts tell it; `name` is empty before it was created."""

    name: str = ""
    owner: UUID | None = None
    dataset_name: str = ""
    training_yaml_name: str = ""
    description: str | None = None
    tags: tuple[str, ...] = ()
    objective: str | None = None
    task_type: str | None = None
    require_deidentified: bool = False
    archived: bool = False

    @property
    def exists(self) -> bool:
        return self.name != ""


def evolve(project: Project, fact: AnyProjectFact) -> Project:
    match fact:
        case ProjectCreated():
            return Project(**msgspec.structs.asdict(fact))
        case ProjectRevised():
            return replace(project, **revised_fields(fact))
        case ProjectArchived():
            return replace(project, archived=True)
        case ProjectUnarchived():
            return replace(project, archived=False)
        case _:
            assert_never(fact)


def revised_fields(fact: ProjectRevised) -> dict[str, object]:
    """What a revision changed, by field name."""
    return {name: value for name, value in msgspec.structs.asdict(fact).items() if value is not UNSET}
