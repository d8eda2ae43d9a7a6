"""SIGKILL at any moment of a run's life: every line once and in order in the database, one process ever started.

`make chaos` prints 200,000 lines and kills each part ten times; the suite itself does less of the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from events.runs import RunCompleted, RunFailed, RunStarted
from services.runtime.children import processes
from services.runtime.handover import encode
from services.runtime.settings import Settings
from tests.nats_server import NatsServer
from tests.platform.serving import Serving
from tests.platform.serving import until as wait_until
from tests.training.ledger import BOUND, Ledger, ledger, until

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

LONG = os.environ.get("TRAINLEDGER_CHAOS") == "long"
LINES, ROUNDS = (200_000, 10) if LONG else (8_000, 1)
PATIENCE = 600.0 if LONG else 60.0

PRINTS = """
import os, sys, time
with open("launches", "a") as file:
    print(os.environ["TRAINLEDGER_RUN"], file=file)
for line in range(LINES):
    to = sys.stderr if line % 7 == 0 else sys.stdout
    print(line, "x" * (line * 7919 % 180) + "行", file=to)
    if line % 40 == 0:
        time.sleep(0.01)
""".replace("LINES", str(LINES))
SHORT = "echo $TRAINLEDGER_RUN >> launches; for i in 1 2 3 4 5; do echo $i; sleep 0.05; done; echo 6 >&2; exit 3"


class Part:
    """A process to be killed."""

    def __init__(self, program: str, settings: Settings) -> None:
        self._arguments: list[str | bytes] = [sys.executable, str(Path(__file__).parent / program), encode(settings)]
        self._log = settings.data_dir / f"{program}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._arguments, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
async def book(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with ledger(nats_server.url, tmp_path) as made:
        yield made


@pytest.fixture
def parts(book: Ledger, nats_server: NatsServer) -> Iterator[tuple[Part, Part]]:
    settings = Settings(
        nats_url=nats_server.url,
        data_dir=book.data,
        host_training_dir=book.root,
        node=book.name,
        executor="local",
        training_db_url=f"sqlite:///{book.data}/training.db",
    )
    made = Part("service_process.py", settings), Part("projector_process.py", settings)
    for part in made:
        part.start()
    yield made
    for part in made:
        part.kill()


async def test_the_training_the_projector_and_the_server_are_killed_again_and_again(
    book: Ledger, parts: tuple[Part, Part], nats_server: NatsServer
) -> None:
    (book.root / "prints.py").write_text(PRINTS)
    run_id = await book.request(sys.executable, "-B", "prints.py")
    moments = random.Random(LINES)
    for _ in range(ROUNDS):
        for victim in (*parts, nats_server):
            await asyncio.sleep(moments.uniform(0.1, 1.2))
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
    async with asyncio.timeout(PATIENCE):
        while not await ended(book, run_id):  # noqa: ASYNC110 - `fact` would give up earlier
            await asyncio.sleep(0.2)
    await book.fact(run_id, RunCompleted)
    await check_rows(book.data, run_id, book.node().place(run_id, 1).directory, LINES)
    assert (book.root / "launches").read_text().split() == [f"{run_id}/1"]
    assert [type(fact) for fact in await book.facts(run_id)].count(RunStarted) == 1
    assert not processes.members(f"TRAINLEDGER_RUN={run_id}/1", None)


async def test_a_service_killed_at_every_step_of_a_short_run(
    book: Ledger, parts: tuple[Part, Part], nats_server: NatsServer
) -> None:
    moments = random.Random(3)
    runs = []
    for number in range(10 * ROUNDS if LONG else 4):
        run_id = await book.request("bash", "-c", SHORT)
        runs.append(run_id)
        # From the very first step on to after the end.
        await asyncio.sleep(moments.uniform(0.0, 0.9))
        victim = (*parts, nats_server, parts[0])[number % 4]
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
        await until(lambda: book.nc.is_connected)
    for run_id in runs:
        failed = await book.fact(run_id, RunFailed)
        assert (failed.exit_code, failed.cause) == (3, "exit")
        await check_rows(book.data, run_id, book.node().place(run_id, 1).directory, 6)
    assert sorted((book.root / "launches").read_text().split()) == sorted(f"{run_id}/1" for run_id in runs)


async def test_the_whole_service_is_killed_again_and_again(tmp_path: Path) -> None:
    serving = Whole(tmp_path)
    moments = random.Random(5)
    try:
        await asyncio.to_thread(serving.start)
        await asyncio.to_thread(wait_until, serving.launches, "a node that trains")
        root = serving.data / "training"
        (root / "prints.py").write_text(PRINTS)
        body = {
            "name": "chaos",
            "owner": "alice",
            "dataset_name": "datasets/qwen_demo.jsonl",
            "training_yaml_name": "configs/qwen_demo.yaml",
        }
        await asyncio.to_thread(serving.post, "/projects", body)
        command = {"start_command": f"{sys.executable} -B prints.py"}
        run = (await asyncio.to_thread(serving.post, "/projects/chaos/runs", command))[1]
        for _ in range(ROUNDS):
            await asyncio.sleep(moments.uniform(0.1, 1.0))
            await asyncio.to_thread(serving.kill, "serve", "edge", "workers", "nats-server")
            await asyncio.to_thread(serving.start)
        detail = await eventually(lambda: serving.get(f"/projects/chaos/runs/{run['id']}")[1])
        assert (detail["status"], detail["exit_code"]) == ("completed", 0)
        run_id = UUID(run["id"])
        await check_rows(serving.data, run_id, serving.data / "runs" / str(run_id) / "1", LINES)
        assert (root / "launches").read_text().split() == [f"{run_id}/1"]
    finally:
        await asyncio.to_thread(serving.end_everything)


class Whole(Serving):
    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(ALLOW_START_COMMAND="1", **more)


async def eventually(look: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while (detail := await asyncio.to_thread(look))["status"] in ("pending", "running"):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return detail


async def ended(book: Ledger, run_id: UUID) -> bool:
    try:
        return any(isinstance(fact, RunCompleted | RunFailed) for fact in await book.facts(run_id))
    except Exception:  # noqa: BLE001 - the server was only just started again
        return False


async def check_rows(data: Path, run_id: UUID, directory: Path, lines: int) -> None:
    """Of both streams the rows are the raw file's lines, each once and in order."""
    async with asyncio.timeout(BOUND):
        while len(await asyncio.to_thread(rows, data, run_id)) < lines:  # noqa: ASYNC110 - another process writes them
            await asyncio.sleep(0.1)
    found = await asyncio.to_thread(rows, data, run_id)
    assert len(found) == lines
    for stream, name in (("stdout", "out.log"), ("stderr", "err.log")):
        said = "".join(f"{message}\n" for printed, message in found if printed == stream)
        raw = (directory / name).read_bytes()
        assert hashlib.sha256(said.encode()).hexdigest() == hashlib.sha256(raw).hexdigest(), stream


def rows(data: Path, run_id: UUID) -> list[tuple[str, str]]:
    database = data / "training.db"
    if not database.exists():
        return []  # the projector was killed before it made it
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        statement = "SELECT stream, message FROM logs WHERE run_id = ? ORDER BY attempt, byte_offset"
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'logs'").fetchone() is None:
            return []  # … or its tables
        return connection.execute(statement, (str(run_id),)).fetchall()
    finally:
        connection.close()
