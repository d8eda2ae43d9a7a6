"""A real ledger for training tests: log, telemetry, dispatch, and a training directory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from contracts import subjects
from contracts.runs import AssetReport, CancelRun
from contracts.telemetry import LogLine, TelemetryBatch
from events.event import Event, Origin
from events.log import Change, EventLog
from events.log.jetstream import JetStreamLog
from events.log.streams import TELEMETRY, ensure_streams
from events.runs import RunCanceled, RunCompleted, RunFailed, RunLaunchFailed, RunRequested
from services.runtime.commands import RUNS
from services.runtime.dispatch import Dispatch, load
from services.runtime.gathering.sources import Sources
from services.training.executors import Executor
from services.training.executors.local import LocalExecutor
from services.training.launching import withheld
from services.training.node import Node

BOUND = 60.0
TERMINAL = (RunCompleted, RunFailed, RunCanceled, RunLaunchFailed)

_F = TypeVar("_F", bound=Event)


class NoPeople:
    async def ensure(self, name: str) -> UUID:
        raise NotImplementedError


class NoNodes:
    async def assets(self, names: tuple[str, ...]) -> AssetReport | None:
        raise NotImplementedError

    async def assets_of(self, node: str, names: tuple[str, ...], checkpoints: tuple[str, ...]) -> AssetReport | None:
        raise NotImplementedError


def sources(log: EventLog) -> Sources:
    return Sources(
        log=log, people=NoPeople(), nodes=NoNodes(), start_command_template="unused", allow_start_command=False
    )


class Ledger:
    """Its node is a new one, so that runs of other tests on the same server are not its own."""

    def __init__(self, nc: Client, directory: Path, name: str | None = None) -> None:
        self.name = name or f"node-{uuid4()}"
        self.nc = nc
        self.js: JetStreamContext = nc.jetstream()
        self.log = JetStreamLog(nc)
        self.dispatch = Dispatch(sources(self.log))
        self.data = directory / "data"
        self.data.mkdir(exist_ok=True)
        self.root = directory / "training"
        self.root.mkdir(exist_ok=True)

    def node(self, executors: Mapping[str, Executor] | None = None, grace: float = 0.5) -> Node:
        return Node(
            name=self.name,
            log=self.log,
            dispatch=self.dispatch,
            js=self.js,
            executors=executors or {"local": LocalExecutor(self.root, withheld)},
            root=self.root,
            runs=self.data / "runs",
            grace=grace,
        )

    @property
    def checkpoint(self) -> Path:
        return self.data / "training.json"

    async def request(self, *argv: str, yaml: str = "run.yaml", **fields: Any) -> UUID:
        (self.root / "run.yaml").touch()
        run_id = uuid4()
        fact = RunRequested(
            project_id=uuid4(), node=self.name, dataset="data.jsonl", training_yaml=yaml, argv=argv, **fields
        )
        await self.log.append(Change(context="runs", aggregate_id=run_id, facts=(fact,)), origin=origin())
        return run_id

    async def request_cancel(self, run_id: UUID) -> None:
        run = (await load(self.log, RUNS, run_id)).state
        await self.dispatch(CancelRun(project=str(run.project_id), run_id=run_id), origin())

    async def facts(self, run_id: UUID) -> list[Event]:
        return [entry.fact for entry in await self.log.read("runs", run_id)]

    async def fact(self, run_id: UUID, kind: type[_F]) -> _F:
        """The run's fact of that kind, waited for."""
        async with asyncio.timeout(BOUND):
            async for batch in self.log.follow(0, ("runs",)):
                for entry in batch:
                    if entry.meta.aggregate_id == run_id and isinstance(entry.fact, kind):
                        return entry.fact
                    if entry.meta.aggregate_id == run_id and isinstance(entry.fact, TERMINAL):
                        pytest.fail(f"the run ended otherwise: {entry.fact}")
        raise AssertionError

    async def batches(self, run_id: UUID, attempt: int = 1) -> list[TelemetryBatch]:
        """What was published, oldest first."""
        found: list[TelemetryBatch] = []
        subscription = await self.js.subscribe(
            subjects.telemetry(run_id, attempt), stream=TELEMETRY, ordered_consumer=True
        )
        last = await self.js.get_last_msg(TELEMETRY, subjects.telemetry(run_id, attempt))
        while True:
            message = await subscription.next_msg(BOUND)
            found.append(msgspec.json.decode(message.data, type=TelemetryBatch))
            if message.metadata.sequence.stream == last.seq:
                break
        await subscription.unsubscribe()
        return found

    async def lines(self, run_id: UUID) -> list[LogLine]:
        return [line for batch in await self.batches(run_id) for line in batch.lines]

    async def check_every_line_once(self, run_id: UUID) -> None:
        """The published lines are those of the raw files, each once, in order; the batches join without gap."""
        batches = await self.batches(run_id)
        assert [batch.start for batch in batches] == [0, *(batch.end for batch in batches[:-1])]
        place = self.node().place(run_id, 1)
        for stream, raw in (("stdout", place.output), ("stderr", place.errors)):
            lines = (line for batch in batches for line in batch.lines if line.stream == stream)
            published = "".join(line.message + "\n" for line in lines)
            assert (
                hashlib.sha256(published.encode()).digest()
                == hashlib.sha256(raw.read_bytes() if raw.exists() else b"").digest()
            )


def origin() -> Origin:
    return Origin(actor="service:test", command_id=uuid4())


@asynccontextmanager
async def ledger(url: str, directory: Path) -> AsyncIterator[Ledger]:
    nc = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    try:
        await ensure_streams(nc.jetstream())
        yield Ledger(nc, directory)
    finally:
        await nc.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110 - processes are waited for, not tasks
            await asyncio.sleep(0.01)
