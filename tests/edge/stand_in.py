"""Services that launch nothing: they answer for assets and room, and report what a test wants to have happened."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.command import Command
from contracts.deployments import (
    PlaceDeployment,
    ReportDeploymentEnded,
    ReportDeploymentLaunched,
    ReportDeploymentStarted,
    RoomReport,
)
from contracts.runs import (
    AssetQuestion,
    AssetReport,
    AssignRun,
    ReportLaunchFailed,
    ReportRunEnded,
    ReportRunStarted,
)
from events.deployments import DeploymentRequested, DeploymentRestartRequested, DeploymentStopRequested
from events.event import Origin
from events.log import EventLog
from events.runs import RunCancelRequested, RunRequested
from services.runtime.dispatch import Dispatch
from services.runtime.gathering.sources import Sources

NODE = "stand-in"
_SERVICE = UUID("7d1cf1c1-4c39-4f04-8a65-9f3a2a2d3c55")


class StandIn:
    """`missing` and `outside` are assets it lacks, `launch_error` why no launch succeeds; `idle`: it launches none."""

    def __init__(self, nc: Client, log: EventLog, sources: Sources) -> None:
        self._nc = nc
        self._log = log
        self.dispatch = Dispatch(sources)
        self.missing: set[str] = set()
        self.outside: set[str] = set()
        self.launch_error: tuple[str, str] | None = None
        self.idle = False
        self.launched = 0
        self.served: dict[UUID, int] = {}

    async def run(self, ready: asyncio.Event) -> None:
        after = await self._log.last_position()
        await self._nc.subscribe(subjects.NODE_ASSETS, cb=self._on_assets)
        await self._nc.subscribe(subjects.NODE_ROOM, cb=self._on_room)
        ready.set()
        async for batch in self._log.follow(after, ("runs", "deployments")):
            for recorded in batch:
                if isinstance(recorded.fact, RunRequested) and not self.idle:
                    await self.launch(recorded.meta.aggregate_id)
                elif isinstance(recorded.fact, RunCancelRequested):
                    await self.report(ReportRunEnded(run_id=recorded.meta.aggregate_id, attempt=1, exit_code=143))

                elif isinstance(recorded.fact, DeploymentRequested):
                    await self.serve(recorded.meta.aggregate_id, 1)
                elif isinstance(recorded.fact, DeploymentStopRequested | DeploymentRestartRequested):
                    deployment_id = recorded.meta.aggregate_id
                    attempts = self.served[deployment_id]
                    end = ReportDeploymentEnded(deployment_id=deployment_id, attempt=attempts, cause="signal")
                    await self.report(end)
                    if isinstance(recorded.fact, DeploymentRestartRequested):
                        await self.serve(deployment_id, attempts + 1)

    async def report(self, command: Command) -> None:
        await self.dispatch(command, Origin(actor="service:training", command_id=uuid4()))

    async def launch(self, run_id: UUID) -> None:
        self.launched += 1
        await self.report(AssignRun(run_id=run_id, attempt=1, node=NODE, executor="local"))
        if self.launch_error is not None:
            zh, en = self.launch_error
            await self.report(ReportLaunchFailed(run_id=run_id, attempt=1, reason=zh, reason_en=en))
        else:
            await self.report(ReportRunStarted(run_id=run_id, attempt=1))

    async def serve(self, deployment_id: UUID, attempt: int) -> None:
        self.served[deployment_id] = attempt
        port = 8000 + len(self.served)
        placed = PlaceDeployment(
            deployment_id=deployment_id,
            attempt=attempt,
            service=_SERVICE,
            port=port,
            argv=("vllm", "serve", "models/qwen2.5", "--port", str(port)),
            log_file=f"./deploy_logs/{deployment_id}.log",
        )
        await self.report(placed)
        launched = ReportDeploymentLaunched(
            deployment_id=deployment_id, attempt=attempt, pid=4311, start=812345, boot="boot"
        )
        await self.report(launched)
        await self.report(ReportDeploymentStarted(deployment_id=deployment_id, attempt=attempt))

    async def _on_room(self, message: Msg) -> None:
        await message.respond(msgspec.json.encode(RoomReport(node=NODE)))

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
