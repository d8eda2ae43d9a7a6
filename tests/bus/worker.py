"""A process that handles queued commands and is killed: arguments are the server's URL."""

from __future__ import annotations

import asyncio
import sys

import nats

from services.commands import queue
from tests.bus.stack import commands, stack


async def main(url: str) -> None:
    async with stack(await nats.connect(url)) as parts, commands(parts):
        parts.nodes._timeout = 60
        await asyncio.Event().wait()


queue._ACK_WAIT = 1.0
queue._HOLD = 0.2
asyncio.run(main(*sys.argv[1:]))
