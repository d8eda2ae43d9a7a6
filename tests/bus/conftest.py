"""The embedded server as `serve` runs it, with streams and users."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from events.log.streams import ensure_streams
from events.tokens import Role
from services.runtime.nats.accounts import add_user
from services.runtime.nats.embedded import EmbeddedNats
from services.runtime.nats.roles import announce_users
from tests.bus.stack import Stack, stack
from tests.ports import free_port

Connect = Callable[..., Awaitable[Client]]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """Users: alice and bob operate, carol administers, rita reads."""
    embedded = EmbeddedNats(tmp_path_factory.mktemp("bus"), free_port())
    embedded.users.ensure_built_in()
    roles: dict[str, Role] = {"alice": "operator", "bob": "operator", "carol": "admin", "rita": "reader"}
    for name, role in roles.items():
        add_user(embedded.users, name, role)
    embedded.start()
    try:
        deadline = time.monotonic() + 20
        while not embedded.answers():
            assert time.monotonic() < deadline, embedded.last_words()
            time.sleep(0.02)
        asyncio.run(_prepare(embedded))
        yield embedded
    finally:
        embedded.stop()


async def _prepare(embedded: EmbeddedNats) -> None:
    client = await _connect(embedded, "admin")
    try:
        await ensure_streams(client.jetstream())
        await announce_users(client, embedded.users.all())
    finally:
        await client.close()


async def _connect(embedded: EmbeddedNats, user: str, **options: Any) -> Client:
    """As anybody would: a seed file and the official client."""
    seed = embedded.users.seed_file(user)
    assert embedded.url is not None
    return await nats.connect(embedded.url, nkeys_seed=str(seed), **options)


@pytest.fixture
async def connect(server: EmbeddedNats) -> AsyncIterator[Connect]:
    clients: list[Client] = []

    async def as_user(user: str = "service", **options: Any) -> Client:
        clients.append(await _connect(server, user, **options))
        return clients[-1]

    yield as_user
    for client in clients:
        await client.close()


@pytest.fixture
async def parts(connect: Connect) -> AsyncIterator[Stack]:
    async with stack(await connect()) as made:
        yield made


@pytest.fixture
def seeds(server: EmbeddedNats) -> Callable[[str], Path]:
    return server.users.seed_file
