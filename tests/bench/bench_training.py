"""A printing child: lines/s until its telemetry is durable, and how soon after its request a child runs."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from events.runs import RunCompleted
from services.training.consumer import Consumer
from services.training.merging import Files
from services.training.output import Output
from services.training.telemetry import Publisher
from tests.nats_server import NatsServer
from tests.training.ledger import Ledger, ledger

LINES = 1_000_000
PLAIN = f'line = "x" * 99\nfor _ in range({LINES}): print(line)'
LAUNCHES = 20


async def printing(book: Ledger) -> None:
    begun = time.perf_counter()
    run_id = await book.request(sys.executable, "-c", PLAIN)
    await book.fact(run_id, RunCompleted)
    took = time.perf_counter() - begun
    raw = book.node().place(run_id, 1).output
    print(f"run: {LINES:,} lines of 100 bytes, request to end   {LINES / took:12,.0f} lines/s")
    begun = time.perf_counter()
    with raw.open("rb") as file:
        count = sum(1 for _ in file)
    print(f"bare read of that file, line by line        {count / (time.perf_counter() - begun):12,.0f} lines/s")
    other = book.data / "again"
    publisher = Publisher(book.js, run_id, 2, other)
    output = Output(publisher, Files(raw, book.data / "no stderr", book.data / "order"), run_id, 2)
    output.finish()
    begun = time.perf_counter()
    await output.follow()
    print(f"catching up with it, parsed and published   {count / (time.perf_counter() - begun):12,.0f} lines/s")


async def launching(book: Ledger) -> None:
    waits = []
    for _ in range(LAUNCHES):
        begun = time.time()
        run_id = await book.request("bash", "-c", "echo $EPOCHREALTIME")
        await book.fact(run_id, RunCompleted)
        waits.append(float(book.node().place(run_id, 1).output.read_text()) - begun)
    print(f"request to the child's first instruction, median of {LAUNCHES}   {statistics.median(waits) * 1000:8.0f} ms")


async def bench_training(url: str, directory: Path) -> None:
    """Prints the numbers; writes into the ledger of that server."""
    async with ledger(url, directory) as book:
        consumer = asyncio.create_task(Consumer(book.node(), book.checkpoint).run())
        await launching(book)
        await printing(book)
        consumer.cancel()
        await asyncio.wait([consumer])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        server = NatsServer(Path(temporary))
        server.start()
        try:
            uvloop.run(bench_training(server.url, Path(temporary)))
        finally:
            server.stop()
