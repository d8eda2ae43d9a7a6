"""A process that claims a command and is killed: arguments are the server's URL, a seed file, a project and a key."""

from __future__ import annotations

import asyncio
import sys

import nats

from contracts.runs import StartRun
from tests.bus.stack import stack


async def main(url: str, seed: str, project: str, key: str) -> None:
    client = await nats.connect(url, nkeys_seed=seed)
    async with stack(client, run_wait=60) as parts:
        parts.nodes._timeout = 60
        await parts.intake.handle(StartRun(project=project), await parts.caller(), key=key)


asyncio.run(main(*sys.argv[1:]))
