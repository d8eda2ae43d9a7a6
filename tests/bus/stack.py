"""What an edge has below HTTP, on a real bus, with the read models and the training service stood in for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.problems import Refused
from contracts.projects import ProjectDetail
from contracts.runs import AssetQuestion, AssetReport, AssignRun, ReportLaunchFailed, ReportRunStarted, RunDetail
from events.event import Origin
from events.log import EventLog
from events.log.jetstream import JetStreamLog
from events.runs import RunRequested
from projections.queries.cut import NOW, Cut
from services.commands.main import serve_commands
from services.edge.bodies import decode
from services.runtime.answers.projects import project_detail
from services.runtime.answers.runs import run_detail
from services.runtime.answers.views import Views
from services.runtime.commands import PROJECTS, RUNS
from services.runtime.dispatch import Dispatch, load
from services.runtime.ending import end
from services.runtime.gathering.sources import Sources
from services.runtime.intake import Caller, Intake, Waits
from services.runtime.nodes.asking import Nodes
from services.runtime.outcomes import Outcomes
from services.runtime.people import People
from services.runtime.questions import Shown
from services.runtime.settling import Runs


class ReadsTwin:
    """Reads that are always as far as the log, unless `lagging`; with `down` every question is refused."""

    def __init__(self, log: EventLog, people: People) -> None:
        self._log = log
        self._people = people
        self.lagging = False
        self.down = False
        self.position = 0

    async def passed(self, position: int, timeout: float) -> bool:
        self._answer()
        return not self.lagging

    def _answer(self) -> None:
        if self.down:
            raise Refused("database_unavailable")

    async def project_detail(
        self, project_id: UUID, cut: Cut = NOW, *, named: bool = True
    ) -> Shown[ProjectDetail | None]:
        self._answer()
        if self.lagging:
            return Shown(None, 0)
        project, recorded = PROJECTS.initial, []
        for entry in await self._log.read(PROJECTS.context, project_id):
            if cut.position is None or entry.meta.position <= cut.position:
                project = PROJECTS.evolve(project, entry.fact)
                recorded.append(entry)
        name_of = self._people.name_of if named else lambda _: None
        return Shown(project_detail(project_id, project, recorded, name_of), recorded[-1].meta.position)

    async def run_detail(self, run_id: UUID) -> Shown[RunDetail | None]:
        self._answer()
        if self.lagging:
            return Shown(None, 0)
        loaded = await load(self._log, RUNS, run_id)
        return Shown(run_detail(run_id, loaded.state, loaded.recorded), loaded.position)


class Stack(msgspec.Struct):
    nc: Client
    log: JetStreamLog
    people: People
    nodes: Nodes
    outcomes: Outcomes
    runs: Runs
    reads: ReadsTwin
    dispatch: Dispatch
    intake: Intake

    async def caller(self, name: str = "alice", role: Any = "operator") -> Caller:
        return Caller(name, await self.people.ensure(name), role)


@asynccontextmanager
async def stack(
    nc: Client, *, wait: float = 20.0, run_wait: float = 5.0, cancel_wait: float = 10.0
) -> AsyncIterator[Stack]:
    """Seconds: `wait` for who is at work on the same id, `run_wait` for a launch, `cancel_wait` for an end."""
    log = JetStreamLog(nc)
    people, nodes, outcomes, runs = People(nc), Nodes(nc, timeout=2.0), Outcomes(nc, wait=wait), Runs(log)
    async with AsyncExitStack() as started:
        for part in (people, nodes, outcomes, runs):
            await part.start()
            started.push_async_callback(part.stop)
        sources = Sources(
            log=log,
            people=people,
            nodes=nodes,
            start_command_template="bash train.sh {training_yaml_name}",
            allow_start_command=False,
        )
        dispatch = Dispatch(sources)
        reads = ReadsTwin(log, people)
        waits = Waits(run=run_wait, cancel=cancel_wait, projection=1.0)
        intake = Intake(dispatch, Views(log, people, reads), reads, outcomes, runs, waits)
        started.push_async_callback(intake.stop)
        yield Stack(nc, log, people, nodes, outcomes, runs, reads, dispatch, intake)


def commands(parts: Stack) -> Any:
    return serve_commands(parts.nc, parts.intake, parts.people, decode)


@asynccontextmanager
async def training(parts: Stack, *, fails: str | None = None, after: int | None = None) -> AsyncIterator[None]:
    """A node that has every asset, and starts each run requested from now on (or above `after`), or fails to."""

    async def on_question(message: Msg) -> None:
        msgspec.json.decode(message.data, type=AssetQuestion)
        await message.respond(msgspec.json.encode(AssetReport(node="n1")))

    async def follow(after: int) -> None:
        async for batch in parts.log.follow(after, ("runs",)):
            for recorded in batch:
                if isinstance(recorded.fact, RunRequested):
                    await launch(recorded.meta.aggregate_id)

    async def launch(run_id: UUID) -> None:
        reports: list[Any] = [AssignRun(run_id=run_id, attempt=1, node="n1", executor="local")]
        if fails is None:
            reports.append(ReportRunStarted(run_id=run_id, attempt=1))
        else:
            reports.append(ReportLaunchFailed(run_id=run_id, attempt=1, reason=fails))
        for report in reports:
            await parts.dispatch(report, Origin(actor="service:training", command_id=uuid4()))

    subscription = await parts.nc.subscribe(subjects.NODE_ASSETS, cb=on_question)
    following = asyncio.create_task(follow(await parts.log.last_position() if after is None else after))
    try:
        yield
    finally:
        await end(following)
        await subscription.unsubscribe()
