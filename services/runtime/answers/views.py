"""The view that each command is answered with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from contracts.command import Command
from contracts.deid import CancelDeidentification, DeidentifyDataset
from contracts.nodes import ForgetNode
from contracts.policies import DeletePolicy, UploadPolicy
from contracts.problems import Refused
from contracts.projects import ArchiveProject, CreateProject, ProjectDetail, ReviseProject, UnarchiveProject
from contracts.runs import CancelRun, ResumeRun, RunDetail, StartRun, TagArtifact, UntagArtifact
from events.event import Recorded
from events.log import EventLog
from events.projects import AnyProjectFact, Project, ProjectFact, evolve
from events.runs import Run
from projections.queries.cut import Cut
from services.runtime.answers import datasets, deid, nodes, policies, projects, runs, train_config
from services.runtime.answers.deployments import OF_DEPLOYMENTS, DeploymentAnswers
from services.runtime.commands import HANDLERS
from services.runtime.dispatch import Accepted, load
from services.runtime.questions import Shown

# By what the command says and led to.
_BY_OUTCOME: dict[type[Command], Callable[[Any, Accepted], Any]] = {**datasets.TOLD, **train_config.TOLD}
# By the aggregate's id, its state and all its facts, oldest first.
_BY_FACTS: dict[type[Command], Callable[[UUID, Any, Sequence[Recorded]], msgspec.Struct]] = {
    ForgetNode: nodes.forgotten_node,
    UploadPolicy: policies.policy_detail,
    DeletePolicy: policies.policy_removed,
    DeidentifyDataset: deid.deid_job,
    CancelDeidentification: deid.deid_job,
}
# By the read models, which know more of them than their own facts: as they were at the command's position. Whoever owns
# one is an id in them until it is answered, as its name may be erased.
_CHANGES_OF_PROJECTS = (ReviseProject, ArchiveProject, UnarchiveProject)
_OF_RUNS = (StartRun, ResumeRun, CancelRun, TagArtifact, UntagArtifact)

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class Names(Protocol):
    def name_of(self, person: UUID) -> str | None: ...


class ReadModels(Protocol):
    """What of the read models an answer needs."""

    @property
    def position(self) -> int:
        """Up to which fact they are, as far as is known without asking."""
        ...

    async def passed(self, position: int, timeout: float) -> bool:
        """Whether the read models show the fact at `position`, waited for at most `timeout` seconds."""
        ...

    async def project_detail(
        self, project_id: UUID, cut: Cut, *, named: bool = True
    ) -> Shown[ProjectDetail | None]: ...

    async def run_detail(self, run_id: UUID) -> Shown[RunDetail | None]: ...


class _Identified(msgspec.Struct, frozen=True):
    id: UUID


class Views:
    """As JSON. `patience` bounds, in seconds, how long the read models are waited for. Raises LogUnavailable."""

    def __init__(
        self,
        log: EventLog,
        people: Names,
        reads: ReadModels,
        deployments: DeploymentAnswers | None = None,
        *,
        patience: float = 5.0,
    ) -> None:
        self._log = log
        self._people = people
        self._reads = reads
        self._deployments = deployments
        self._patience = patience

    def is_whole(self, command: Command, *, passed: bool) -> bool:
        """Whether facts alone tell all of it, or the read models have it."""
        return passed or not isinstance(command, _CHANGES_OF_PROJECTS)

    def named(self, kind: type[Command], view: bytes) -> bytes | None:
        """As it is answered: with the names that people have now, or have no more. None where an earlier release kept
        a name in it.
        """
        if kind not in _CHANGES_OF_PROJECTS:
            return view
        detail = msgspec.json.decode(view, type=ProjectDetail)
        try:
            name = self._people.name_of(UUID(detail.owner))
        except ValueError:
            return None
        return view if name is None else msgspec.json.encode(msgspec.structs.replace(detail, owner=name))

    async def of(self, command: Command, accepted: Accepted, position: int, *, passed: bool) -> bytes:
        """What `named` makes an answer of.

        `passed`: the read models show the fact at `position`; where they do not, facts alone tell of it.
        """
        kind, aggregate_id = type(command), accepted.aggregate_id
        if (told := _BY_OUTCOME.get(kind)) is not None:
            return msgspec.json.encode(told(command, accepted))
        if isinstance(command, CreateProject) and not accepted.repeated:
            return _encoded(aggregate_id, accepted.state, accepted.recorded, self._people.name_of)
        return await self.again(kind, aggregate_id, position, passed=passed)

    async def again(self, kind: type[Command], aggregate_id: UUID, position: int, *, passed: bool) -> bytes:
        """Of a command whose view was not kept. Raises Refused (position_not_reached), of a log that was restored."""
        if kind is CreateProject:
            return _encoded(aggregate_id, *await self._facts_of_project(aggregate_id, position), self._people.name_of)
        if kind in _CHANGES_OF_PROJECTS:
            return await self._project(kind, aggregate_id, position, passed)
        if (view := await self._by_facts(kind, aggregate_id)) is not None:
            return view
        if kind in _OF_RUNS and passed:
            detail = await self._read(kind, self._reads.run_detail(aggregate_id))
            if detail is not None:
                return msgspec.json.encode(detail)
        loaded = await load(self._log, HANDLERS[kind].aggregate, aggregate_id)
        if isinstance(loaded.state, Run):
            return msgspec.json.encode(runs.run_detail(aggregate_id, loaded.state, loaded.recorded))
        return msgspec.json.encode(_Identified(aggregate_id))

    async def _project(self, kind: type[Command], project_id: UUID, position: int, passed: bool) -> bytes:
        """As it was at that position, its owner an id."""
        detail = None
        if (moment := await self._log.stored_at(position)) is not None:
            cut = Cut(position, moment)
            detail = await self._read(kind, self._reads.project_detail(project_id, cut, named=False))
        if passed and detail is not None:
            return msgspec.json.encode(detail)
        project, recorded = await self._facts_of_project(project_id, position)
        return _encoded(project_id, project, recorded, lambda _: None, detail)

    async def _facts_of_project(self, project_id: UUID, position: int) -> tuple[Project, list[Recorded]]:
        project, recorded = Project(), []
        for entry in await self._log.read(ProjectFact.context, project_id):
            if entry.meta.position <= position:
                assert isinstance(entry.fact, AnyProjectFact)
                project = evolve(project, entry.fact)
                recorded.append(entry)
        if not project.exists:
            raise Refused("position_not_reached", position=position)
        return project, recorded

    async def _by_facts(self, kind: type[Command], aggregate_id: UUID) -> bytes | None:
        if self._deployments is not None and kind in OF_DEPLOYMENTS:
            return await self._deployments.view(kind, aggregate_id)
        told = _BY_FACTS.get(kind)
        if told is None:
            return None
        loaded = await load(self._log, HANDLERS[kind].aggregate, aggregate_id)
        return msgspec.json.encode(told(aggregate_id, loaded.state, loaded.recorded))

    async def _read(self, kind: type[Command], question: Awaitable[Shown[T | None]]) -> T | None:
        """None also where the read models do not answer: what was accepted stays accepted."""
        try:
            async with asyncio.timeout(self._patience):
                return (await question).answer
        except TimeoutError:
            _logger.warning("answering %s without the read models, which say nothing", kind.__name__)
        except Refused as refused:
            if refused.status != 503:
                raise
            _logger.warning("answering %s without the read models: %s", kind.__name__, refused.text("en"))
        return None


def _encoded(
    project_id: UUID,
    project: Project,
    recorded: Sequence[Recorded],
    name_of: projects.NameOf,
    earlier: ProjectDetail | None = None,
) -> bytes:
    """By its facts, with the runs of a detail that is older."""
    detail = projects.project_detail(project_id, project, recorded, name_of)
    if earlier is not None:
        detail = msgspec.structs.replace(detail, runs=earlier.runs, runs_started=earlier.runs_started)
    return msgspec.json.encode(detail)
