from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from services.runtime.nats.accounts import add_user, remove_user
from services.runtime.nats.embedded import EmbeddedNats
from services.runtime.nats.roles import announce_users
from tests.bus.conftest import Connect
from tests.bus.stack import Stack, commands
from tests.bus.test_commands import project_body


@pytest.fixture
async def served(parts: Stack) -> AsyncIterator[Stack]:
    async with commands(parts):
        yield parts


async def test_a_user_is_added_and_removed_while_everything_runs(
    served: Stack, server: EmbeddedNats, connect: Connect
) -> None:
    from_elsewhere = EmbeddedNats(server.directory.parent)
    add_user(from_elsewhere.users, "dave", "operator")
    assert from_elsewhere.reload()
    gone = asyncio.Event()

    async def on_closed() -> None:
        gone.set()

    async def on_error(_: Exception) -> None:
        """Being put out is one."""

    dave = await connect("dave", allow_reconnect=False, closed_cb=on_closed, error_cb=on_error)
    reply = await dave.request("ask.dave.projects.CreateProject", project_body(f"early {uuid4()}"), 5)
    assert b"forbidden" in reply.data  # nobody has announced the role yet
    await announce_users(served.nc, server.users.all())
    reply = await dave.request("ask.dave.projects.CreateProject", project_body(f"new {uuid4()}"), 5)
    assert b'"accepted"' in reply.data
    await dave.jetstream().pull_subscribe_bind(consumer="user-dave", stream="EVENTS")
    remove_user(from_elsewhere.users, "dave")
    assert from_elsewhere.reload()
    await announce_users(served.nc, server.users.all())
    await asyncio.wait_for(gone.wait(), 60)


@pytest.mark.parametrize("name", ["admin", "service", "a.b", "a b", "*", ">", "", "x" * 65, "名"])
def test_names_that_no_user_may_have(server: EmbeddedNats, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        add_user(server.users, name, "operator")
