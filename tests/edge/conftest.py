"""A whole ledger in this process: a real NATS server, SQLite, a projector, a stand-in for the training service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from nats.aio.client import Client

from events.log.connection import connect
from events.log.streams import ensure_streams, ledger_id
from projections.database import Database, open_database
from projections.ownership import prepare
from services.edge.app import create_app
from services.edge.auth import Authenticator
from services.edge.front import Front
from services.edge.hosts import HostGuard
from services.edge.parts import Parts, started
from services.projector.service import project
from services.runtime.settings import Settings
from tests.edge.stand_in import StandIn
from tests.nats_server import NatsServer

QWEN = {
    "name": "qwen-finetune",
    "description": "微调 Qwen 以适配客服场景",
    "owner": "alice",
    "tags": ["demo", "customer-service"],
    "dataset_name": "datasets/qwen_demo.jsonl",
    "training_yaml_name": "configs/qwen_demo.yaml",
}


class World(msgspec.Struct, kw_only=True):
    """What a test can reach behind the HTTP interface."""

    nc: Client
    database: Database
    parts: Parts
    training: StandIn
    app: Front
    projector: asyncio.Task[None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        training_db_url=f"sqlite:///{tmp_path}/training.db",
        run_wait_seconds=60.0,
        projection_wait_seconds=60.0,
    )


@contextlib.asynccontextmanager
async def made(nats_url: str, settings: Settings, *, log_patience: float = 60.0) -> AsyncIterator[World]:
    """A world on a server that has no streams yet."""
    async with contextlib.AsyncExitStack() as stack:
        nc = await connect(nats_url)
        stack.push_async_callback(nc.close)
        js = nc.jetstream()
        await ensure_streams(js)
        database = open_database(settings.training_db_url)
        stack.callback(database.close)
        await asyncio.to_thread(prepare, database, str(await ledger_id(js)))
        projector = asyncio.create_task(project(nc, database))
        stack.push_async_callback(_end, projector)
        parts = await stack.enter_async_context(started(settings, nc, database, log_patience=log_patience))
        training = StandIn(nc, parts.log, parts.sources)
        ready = asyncio.Event()
        stack.push_async_callback(_end, asyncio.create_task(training.run(ready)))
        await ready.wait()
        authenticator = Authenticator(parts.tokens, parts.people, required=False)
        app = create_app(parts.edge, authenticator, hosts=HostGuard(), body_limit=settings.body_limit_bytes)
        yield World(nc=nc, database=database, parts=parts, training=training, app=app, projector=projector)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns once it holds; fails after 60 s."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def world(nats_server: NatsServer, settings: Settings) -> AsyncIterator[World]:
    async with made(nats_server.url, settings) as world:
        yield world


def client_of(world: World) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(world.app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000", timeout=90)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(world) as client:
        yield client


@pytest.fixture
async def qwen(http: httpx.AsyncClient) -> dict[str, object]:
    """The documented project."""
    created = await http.post("/projects", json=QWEN)
    assert created.status_code == 201, created.text
    body: dict[str, object] = created.json()
    return body
