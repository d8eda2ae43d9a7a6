"""Serves commands over NATS, inside the process of the edge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from nats.aio.client import Client

from services.commands.ask import Asks
from services.commands.message import Callers, Decode
from services.commands.queue import Queue
from services.runtime.intake import Intake
from services.runtime.nats.roles import Roles
from services.runtime.people import People


@asynccontextmanager
async def serve_commands(
    nc: Client, intake: Intake, people: People, decode: Decode, *, body_limit: int = 1_048_576
) -> AsyncIterator[None]:
    """Both ways in, while the context lasts; what is at work when it ends is waited for.

    `decode` gives the struct that a JSON body holds or raises InvalidBody; a body has at most `body_limit` bytes.
    Raises LogUnavailable.
    """
    async with AsyncExitStack() as stack:
        roles = Roles(nc)
        await roles.start()
        stack.push_async_callback(roles.stop)
        callers = Callers(people, roles)
        for way in (Asks(nc, intake, callers, decode, body_limit), Queue(nc, intake, callers, decode, body_limit)):
            await way.start()
            stack.push_async_callback(way.stop)
        yield
