"""How many appends a second: JetStream by itself against the log, in the same run on the same server; and reads."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

from nats.aio.client import Client

from events.event import Origin
from events.log import Change
from events.log.connection import connect
from events.log.jetstream import JetStreamLog
from events.log.streams import EVENTS, ensure_streams
from events.projects import ProjectCreated
from tests.nats_server import NatsServer

_SECONDS = 2.0
_ORIGIN = Origin(actor=str(uuid4()), command_id=uuid4())
_FACT = ProjectCreated(
    name="bench", owner=uuid4(), dataset_name="datasets/d.jsonl", training_yaml_name="configs/c.yaml"
)


async def appends_per_second(append: Callable[[], Awaitable[object]], writers: int) -> tuple[float, float]:
    """Rate, and the median time of one append in milliseconds."""
    durations: list[float] = []
    end = time.perf_counter() + _SECONDS

    async def write() -> None:
        while (start := time.perf_counter()) < end:
            await append()
            durations.append(time.perf_counter() - start)

    started = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    return len(durations) / (time.perf_counter() - started), 1e3 * sorted(durations)[len(durations) // 2]


async def bench_log(nc: Client) -> None:
    """Prints appends a second for 1, 32 and 128 writers, and facts a second of a follower.

    Makes the streams on `nc`'s server, which must not be one in use: what it appends stays.
    """
    await ensure_streams(nc.jetstream())
    js, log = nc.jetstream(), JetStreamLog(nc)
    body = b"x" * 200

    async def raw() -> object:
        headers = {"Nats-Expected-Last-Subject-Sequence": "0"}
        return await js.publish(f"events.bench.{uuid4()}", body, stream=EVENTS, headers=headers)

    async def through_log() -> object:
        return await log.append(Change(context="projects", aggregate_id=uuid4(), facts=(_FACT,)), origin=_ORIGIN)

    print(f"{'appends/s (median ms)':24}{'JetStream':>20}{'log':>20}")
    for writers in (1, 32, 128):
        plain, grouped = await appends_per_second(raw, writers), await appends_per_second(through_log, writers)
        cells = "".join(f"{f'{rate:,.0f} ({median:.1f})':>20}" for rate, median in (plain, grouped))
        print(f"{f'{writers} at once':24}{cells}")
    facts, seconds = await followed(log)
    print(f"{'followed':24}{f'{facts / seconds:,.0f} facts/s':>40}")


async def followed(log: JetStreamLog, facts: int = 20_000) -> tuple[int, float]:
    """How many facts a follower was given in how many seconds, decoded."""
    start = await log.last_position()
    for _ in range(facts // 1_000):
        await log.append(Change(context="projects", aggregate_id=uuid4(), facts=(_FACT,) * 1_000), origin=_ORIGIN)
    begin, seen = time.perf_counter(), 0
    async with aclosing(log.follow(start)) as batches:
        async for batch in batches:
            seen += len(batch)
            if seen >= facts:
                break
    return seen, time.perf_counter() - begin


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = NatsServer(Path(directory))
        server.start()
        try:
            nc = await connect(server.url)
            await bench_log(nc)
            await nc.close()
        finally:
            server.stop()


if __name__ == "__main__":
    asyncio.run(main())
