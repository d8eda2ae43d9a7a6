"""What decisions need to know beside their own aggregate's state."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET

from contracts.projects import CreateProject, ReviseProject, project_id
from contracts.runs import AssetReport, StartRun
from contracts.tokens import IssueToken
from events import projects as project_facts
from events.log import EventLog
from events.projects import Project, ProjectFact
from services.handlers import projects, runs, tokens


class People(Protocol):
    async def ensure(self, name: str) -> UUID:
        """The id of the person of that name; a new one is entered in the directory."""
        ...


class Nodes(Protocol):
    async def assets(self, names: tuple[str, ...]) -> AssetReport | None:
        """The report of a node that has them all, else of one that answered, none where no node answers."""
        ...


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    log: EventLog
    people: People
    nodes: Nodes
    start_command_template: str
    allow_start_command: bool


async def for_create_project(command: CreateProject, sources: Sources) -> projects.Gathered:
    return projects.Gathered(owner=await sources.people.ensure(command.owner))


async def for_revise_project(command: ReviseProject, sources: Sources) -> projects.Gathered:
    owner = command.changes.owner
    return projects.Gathered(owner=None if owner is UNSET else await sources.people.ensure(owner))


async def for_start_run(command: StartRun, sources: Sources) -> runs.StartGathered:
    project = await load_project(command.project, sources.log)
    asks = project.exists and not project.archived
    names = (project.dataset_name, project.training_yaml_name)
    return runs.StartGathered(
        project=project,
        assets=await sources.nodes.assets(names) if asks else None,
        command_template=sources.start_command_template,
        own_command_setting=None if sources.allow_start_command else "ALLOW_START_COMMAND",
    )


async def for_issue_token(command: IssueToken, sources: Sources) -> tokens.Gathered:
    return tokens.Gathered(owner=await sources.people.ensure(command.owner))


async def load_project(reference: str, log: EventLog) -> Project:
    project = Project()
    for recorded in await log.read(ProjectFact.context, project_id(reference)):
        assert isinstance(recorded.fact, project_facts.AnyProjectFact)
        project = project_facts.evolve(project, recorded.fact)
    return project
