"""Commands on projects."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.projects import ArchiveProject, CreateProject, ReviseProject, UnarchiveProject, project_id
from events import projects as project_facts
from services.handlers import projects
from services.runtime.commands.handler import Aggregate, Handler
from services.runtime.gathering import sources as gather

PROJECTS = Aggregate(project_facts.ProjectFact.context, project_facts.Project(), project_facts.evolve)


def _named(command: Any, _: UUID) -> UUID:
    return project_id(command.project)


HANDLERS: dict[type[Command], Handler] = {
    CreateProject: Handler(
        aggregate=PROJECTS,
        target=lambda command, _: project_id(command.name),
        decide=projects.create_project,
        role="operator",
        check=projects.check_create,
        gather=gather.for_create_project,
        presume_new=True,
    ),
    ReviseProject: Handler(
        aggregate=PROJECTS,
        target=_named,
        decide=projects.revise_project,
        role="operator",
        check=projects.check_revise,
        gather=gather.for_revise_project,
    ),
    ArchiveProject: Handler(aggregate=PROJECTS, target=_named, decide=projects.archive_project, role="operator"),
    UnarchiveProject: Handler(aggregate=PROJECTS, target=_named, decide=projects.unarchive_project, role="operator"),
}
