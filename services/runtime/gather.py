"""What decisions need to know beside their own aggregate's state."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET

from contracts.problems import Refused
from contracts.projects import CreateProject, ReviseProject, project_id
from contracts.runs import AssetReport, ResumeRun, StartRun
from contracts.tokens import IssueToken
from events import projects as project_facts
from events import runs as run_facts
from events.log import EventLog
from events.projects import Project, ProjectFact
from events.runs import Run, RunArtifactRecorded, RunFact
from services.handlers import projects, runs, tokens


class People(Protocol):
    async def ensure(self, name: str) -> UUID:
        """The id of the person of that name; a new one is entered in the directory."""
        ...


class Nodes(Protocol):
    async def assets(self, names: tuple[str, ...]) -> AssetReport | None:
        """The report of a node that has them all, else of one that answered, none where no node answers."""
        ...

    async def assets_of(self, node: str, names: tuple[str, ...], checkpoints: tuple[str, ...]) -> AssetReport | None:
        """The report of that node, none where it does not answer."""
        ...


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    log: EventLog
    people: People
    nodes: Nodes
    start_command_template: str
    allow_start_command: bool
    max_wall_seconds: float | None = None


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
        max_wall_seconds=sources.max_wall_seconds,
    )


async def for_resume_run(command: ResumeRun, sources: Sources) -> runs.ResumeGathered:
    project = await load_project(command.project, sources.log)
    source, artifacts = Run(), []
    for recorded in await sources.log.read(RunFact.context, command.run_id):
        assert isinstance(recorded.fact, run_facts.AnyRunFact)
        source = run_facts.evolve(source, recorded.fact)
        if isinstance(recorded.fact, RunArtifactRecorded):
            artifacts.append(recorded.fact)
    gathered = runs.ResumeGathered(
        project=project,
        source=source,
        artifacts=tuple(artifacts),
        assets=None,
        command_template=sources.start_command_template,
        own_command_setting=None if sources.allow_start_command else "ALLOW_START_COMMAND",
        max_wall_seconds=sources.max_wall_seconds,
    )
    if not project.exists or project.archived or not source.ended:
        return gathered
    try:
        checkpoints = runs.resumable(command, gathered.artifacts)
    except Refused:
        return gathered  # the decision says so
    names = (source.dataset, source.training_yaml)
    paths = tuple(checkpoint.path for checkpoint in checkpoints)
    return msgspec.structs.replace(gathered, assets=await sources.nodes.assets_of(source.node, names, paths))


async def for_issue_token(command: IssueToken, sources: Sources) -> tokens.Gathered:
    return tokens.Gathered(owner=await sources.people.ensure(command.owner))


async def load_project(reference: str, log: EventLog) -> Project:
    project = Project()
    for recorded in await log.read(ProjectFact.context, project_id(reference)):
        assert isinstance(recorded.fact, project_facts.AnyProjectFact)
        project = project_facts.evolve(project, recorded.fact)
    return project
