"""A training service that launches nothing: it answers for assets, and reports what a test wants to have happened."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.command import Command
from contracts.runs import (
    AssetQuestion,
    AssetReport,
    AssignRun,
    ReportLaunchFailed,
    ReportRunEnded,
    ReportRunStarted,
)
from events.event import Origin
from events.log import EventLog
from events.runs import RunCancelRequested, RunRequested
from services.runtime.dispatch import Dispatch
from services.runtime.gather import Sources

NODE = "stand-in"


class StandIn:
    """`missing` and `outside` are assets it lacks, `launch_error` why no launch succeeds; `idle`: it launches none."""

    def __init__(self, nc: Client, log: EventLog, sources: Sources) -> None:
        self._nc = nc
        self._log = log
        self.dispatch = Dispatch(sources)
        self.missing: set[str] = set()
        self.outside: set[str] = set()
        self.launch_error: str | None = None
        self.idle = False
        self.launched = 0

    async def run(self, ready: asyncio.Event) -> None:
        after = await self._log.last_position()
        await self._nc.subscribe(subjects.NODE_ASSETS, cb=self._on_assets)
        ready.set()
        async for batch in self._log.follow(after, ("runs",)):
            for recorded in batch:
                if isinstance(recorded.fact, RunRequested) and not self.idle:
                    await self.launch(recorded.meta.aggregate_id)
                elif isinstance(recorded.fact, RunCancelRequested):
                    await self.report(ReportRunEnded(run_id=recorded.meta.aggregate_id, attempt=1, exit_code=143))

    async def report(self, command: Command) -> None:
        await self.dispatch(command, Origin(actor="service:training", command_id=uuid4()))

    async def launch(self, run_id: UUID) -> None:
        self.launched += 1
        await self.report(AssignRun(run_id=run_id, attempt=1, node=NODE, executor="local"))
        if self.launch_error is not None:
            await self.report(ReportLaunchFailed(run_id=run_id, attempt=1, reason=self.launch_error))
        else:
            await self.report(ReportRunStarted(run_id=run_id, attempt=1))

    async def _on_assets(self, message: Msg) -> None:
        question = msgspec.json.decode(message.data, type=AssetQuestion)
        names = question.names
        report = AssetReport(
            node=NODE,
            missing=tuple(name for name in names if name in self.missing),
            outside=tuple(name for name in names if name in self.outside),
            incomplete=tuple(path for path in question.checkpoints if path in self.missing),
        )
        await message.respond(msgspec.json.encode(report))
