"""Killed at any moment: every line once, in order, and one process ever started."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from events.runs import RunCanceled, RunCompleted, RunStarted
from services.runtime.handover import encode
from services.runtime.settings import Settings
from services.training.consumer import Consumer
from services.training.stop_all import stop_all_runs
from tests.nats_server import NatsServer
from tests.training.ledger import BOUND, Ledger, ledger

pytestmark = pytest.mark.chaos

PRINTS = """
import os, time
with open("launches", "a") as file:
    print(os.environ["TRAINLEDGER_RUN"], file=file)
for line in range(LINES):
    print(line, "x" * (line * 7919 % 180) + "行", flush=line % 40 == 0)
    if line % 40 == 0:
        time.sleep(0.01)
"""


@pytest.fixture
async def book(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with ledger(nats_server.url, tmp_path) as made:
        yield made


class Service:
    def __init__(self, book: Ledger, url: str) -> None:
        self._settings = encode(
            Settings(nats_url=url, data_dir=book.data, host_training_dir=book.root, node=book.name, executor="local")
        )
        self._log = book.data / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = Path(__file__).parent / "service_process.py"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, program, self._settings], stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def service(book: Ledger, nats_server: NatsServer) -> Iterator[Service]:
    made = Service(book, nats_server.url)
    yield made
    made.kill()


async def start_printing(book: Ledger, lines: int) -> UUID:
    (book.root / "prints.py").write_text(PRINTS.replace("LINES", str(lines)))
    return await book.request(sys.executable, "-B", "prints.py")


async def check(book: Ledger, run_id: UUID, lines: int) -> None:
    assert (await book.fact(run_id, RunCompleted)).telemetry > 0
    await book.check_every_line_once(run_id)
    assert len(await book.lines(run_id)) == lines
    assert (book.root / "launches").read_text().split() == [f"{run_id}/1"]
    assert [type(fact) for fact in await book.facts(run_id)].count(RunStarted) == 1


async def test_the_service_is_killed_again_and_again(book: Ledger, service: Service) -> None:
    moments = random.Random(20_000)
    run_id = await start_printing(book, 20_000)
    for _ in range(7):
        service.start()
        await asyncio.sleep(moments.uniform(0.3, 1.4))
        service.kill()
    service.start()
    await check(book, run_id, 20_000)


async def test_the_service_stops_in_time_while_a_run_prints(book: Ledger) -> None:
    run_id = await start_printing(book, 5_000)
    for _ in range(5):
        task = asyncio.create_task(Consumer(book.node(), book.checkpoint).run())
        await asyncio.sleep(0.25)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()
    task = asyncio.create_task(Consumer(book.node(), book.checkpoint).run())
    await check(book, run_id, 5_000)
    task.cancel()
    await asyncio.wait([task])


async def test_the_server_is_killed_while_a_run_prints(book: Ledger, service: Service, nats_server: NatsServer) -> None:
    service.start()
    run_id = await start_printing(book, 5_000)
    await book.fact(run_id, RunStarted)
    for _ in range(2):
        await asyncio.to_thread(nats_server.kill)
        await asyncio.to_thread(nats_server.start)
    await check(book, run_id, 5_000)


async def test_stop_all_ends_what_runs(book: Ledger, service: Service) -> None:
    service.start()
    run_ids = [await book.request("sleep", "600") for _ in range(2)]
    for run_id in run_ids:
        await book.fact(run_id, RunStarted)
    over = await stop_all_runs(book.log, book.dispatch, book.data, "service:test", BOUND)
    assert over == dict.fromkeys(run_ids, True)
    for run_id in run_ids:
        await book.fact(run_id, RunCanceled)
