"""Killed at any moment and started again, the service gives the same bytes, and the dataset one version."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from events.deid import DeidentificationAssigned, DeidentificationCompleted
from services.runtime.handover import encode
from tests.deid.killed_service import MOMENTS
from tests.deid.ledger import BOUND, DeidLedger, deid_ledger

FILES = {
    "train_jsonl": "".join(
        json.dumps({"messages": f"号码 {13_800_000_000 + number}"}, ensure_ascii=False) + "\n" for number in range(500)
    ).encode(),
    "notes_txt": b"call 13812345678\n" * 50,
}

LONG = os.environ.get("TRAINLEDGER_CHAOS") == "long"


@pytest.fixture
async def book(nats_url: str, tmp_path: Path) -> AsyncIterator[DeidLedger]:
    async with deid_ledger(nats_url, tmp_path) as made:
        yield made


class Service:
    def __init__(self, book: DeidLedger) -> None:
        self._book = book
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, moment: str = "") -> None:
        program = Path(__file__).parent / "killed_service.py"
        with (self._book.settings.data_dir / "service.log").open("ab") as log:
            arguments = [sys.executable, str(program), encode(self._book.settings).decode(), moment]
            environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, env=environment)

    async def died(self) -> None:
        assert self._process is not None
        assert await asyncio.to_thread(self._process.wait, BOUND) == -signal.SIGKILL
        self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def service(book: DeidLedger) -> Iterator[Service]:
    made = Service(book)
    yield made
    made.kill()


async def undisturbed(book: DeidLedger) -> dict[str, bytes]:
    """What a job of that seed makes of the same files."""
    dataset_id = await book.dataset(**FILES)
    async with book.service():
        job_id = await book.request(dataset_id, seed=11)
        await book.fact(job_id, DeidentificationCompleted)
        await book.tidied()
    return await book.outputs(dataset_id, job_id)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_at_each_step(book: DeidLedger, service: Service, moment: str) -> None:
    expected = await undisturbed(book)
    dataset_id = await book.dataset(**FILES)
    before = book.stored()
    job_id = await book.request(dataset_id, seed=11)
    service.start(moment)
    await service.died()
    service.start()
    completed = await book.fact(job_id, DeidentificationCompleted)
    assert await book.outputs(dataset_id, job_id) == expected
    kinds = [type(fact) for fact in await book.facts(job_id)]
    assert kinds.count(DeidentificationAssigned) == kinds.count(DeidentificationCompleted) == 1
    assert len((await book.state(dataset_id)).versions) == 3
    assert len(book.stored() - before) == 2
    assert completed.records == 550


@pytest.mark.chaos
async def test_killed_again_and_again(book: DeidLedger, service: Service) -> None:
    expected = await undisturbed(book)
    moments = random.Random(20)
    for _ in range(40 if LONG else 7):
        dataset_id = await book.dataset(**FILES)
        job_id = await book.request(dataset_id, seed=11)
        for _ in range(3):
            service.start()
            await asyncio.sleep(moments.uniform(0.2, 1.5))
            service.kill()
        service.start()
        await book.fact(job_id, DeidentificationCompleted)
        service.kill()
        assert await book.outputs(dataset_id, job_id) == expected
