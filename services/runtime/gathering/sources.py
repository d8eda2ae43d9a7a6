"""What decisions need to know beside their own aggregate's state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET

from contracts.datasets import AddDatasetFile
from contracts.deployments import CreateDeployment, RoomReport
from contracts.leases import Wish
from contracts.problems import Refused
from contracts.projects import CreateProject, ReviseProject, project_id
from contracts.runs import AssetReport, ResumeRun, StartRun
from contracts.tokens import IssueToken
from events import projects as project_facts
from events import runs as run_facts
from events.log import EventLog
from events.projects import Project, ProjectFact
from events.runs import Run, RunArtifactRecorded, RunFact
from services.handlers import datasets, deployments, projects, runs, tokens
from services.runtime.gathering.stored import Uploads, stored_for, stored_of


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


class Serving(Protocol):
    async def room(self, wish: Wish, node: str | None) -> RoomReport | None:
        """The report of a node that has room, else of one that answered, none where none answers; or of that node."""
        ...

    async def run_of(self, artifact_id: UUID) -> UUID | None:
        """The run that left this artifact."""
        ...


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """`seal` makes of a seed of de-identification what a fact may hold; none where the process has no key."""

    log: EventLog
    people: People
    nodes: Nodes
    start_command_template: str
    allow_start_command: bool
    max_wall_seconds: float | None = None
    serving: Serving | None = None
    seal: Callable[[int | None], str] | None = None
    uploads: Uploads | None = None


async def for_create_project(command: CreateProject, sources: Sources) -> projects.Gathered:
    return projects.Gathered(owner=await sources.people.ensure(command.owner))


async def for_revise_project(command: ReviseProject, sources: Sources) -> projects.Gathered:
    owner = command.changes.owner
    return projects.Gathered(owner=None if owner is UNSET else await sources.people.ensure(owner))


async def for_start_run(command: StartRun, sources: Sources) -> runs.StartGathered:
    """Nodes may take seconds to say what they have, in which the project may be archived, or revised."""
    project, asked = await load_project(command.project, sources.log), None
    stored, assets = runs.Stored(), None
    while project.exists and not project.archived and project != asked:
        stored, names = await stored_of(project, sources.log, sources.uploads)
        assets = await sources.nodes.assets(names)
        project, asked = await load_project(command.project, sources.log), project
    return runs.StartGathered(
        project=project,
        assets=assets,
        stored=stored,
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
    stored, names = await stored_for(source, sources.log)
    paths = tuple(checkpoint.path for checkpoint in checkpoints)
    assets = await sources.nodes.assets_of(source.node, names, paths)
    project = await load_project(command.project, sources.log)  # nodes may take seconds to answer
    return msgspec.structs.replace(gathered, assets=assets, stored=stored, project=project)


async def for_create_deployment(command: CreateDeployment, sources: Sources) -> deployments.CreateGathered:
    """A checkpoint is served by the node that it lies on."""
    if sources.serving is None:
        raise Refused("no_deployment_node")
    checkpoint, node = None, command.node
    if command.artifact_id is not None:
        checkpoint = await _checkpoint(command.artifact_id, sources)
        if checkpoint.type != "checkpoint" or not checkpoint.complete:
            return deployments.CreateGathered(room=None, checkpoint=checkpoint)
        if node is not None and node != checkpoint.node:
            raise Refused("checkpoint_elsewhere", node=node, owner=checkpoint.node)
        node = checkpoint.node
    room = await sources.serving.room(deployments.wish_of(command), node)
    if room is None and node is not None:
        raise Refused("node_not_serving", node=node)
    return deployments.CreateGathered(room=room, checkpoint=checkpoint)


async def _checkpoint(artifact_id: UUID, sources: Sources) -> deployments.Checkpoint:
    """Raises Refused (artifact_not_found)."""
    assert sources.serving is not None
    run_id = await sources.serving.run_of(artifact_id)
    run, found = Run(), None
    for recorded in await sources.log.read(RunFact.context, run_id) if run_id is not None else ():
        assert isinstance(recorded.fact, run_facts.AnyRunFact)
        run = run_facts.evolve(run, recorded.fact)
        if isinstance(recorded.fact, RunArtifactRecorded) and recorded.fact.artifact_id == artifact_id:
            found = recorded.fact
    if run_id is None or found is None:
        raise Refused("artifact_not_found", artifact_id=artifact_id)
    report = await sources.nodes.assets_of(run.node, (), (found.path,))
    complete = None if report is None else found.path not in report.incomplete
    return deployments.Checkpoint(
        run_id=run_id, node=run.node, name=found.name, type=found.type, path=found.path, complete=complete
    )


async def for_add_dataset_file(_: AddDatasetFile, __: Sources) -> datasets.AddGathered:
    return datasets.AddGathered(now=datetime.now(UTC))


async def for_issue_token(command: IssueToken, sources: Sources) -> tokens.Gathered:
    return tokens.Gathered(owner=await sources.people.ensure(command.owner))


async def load_project(reference: str, log: EventLog) -> Project:
    project = Project()
    for recorded in await log.read(ProjectFact.context, project_id(reference)):
        assert isinstance(recorded.fact, project_facts.AnyProjectFact)
        project = project_facts.evolve(project, recorded.fact)
    return project
