"""Runs that wait for others, that run too long, and that are launched again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.runs import ReportRunEnded
from events.event import Event
from events.runs import (
    RunArtifactRecorded,
    RunAssigned,
    RunAttemptFailed,
    RunCanceled,
    RunCompleted,
    RunFailed,
    RunLaunchFailed,
    RunQueued,
    RunRequested,
    RunStarted,
    RunStopUnconfirmed,
)
from services.training.consumer import Consumer
from services.training.executors import Place
from services.training.executors.local import LocalExecutor
from services.training.launching import withheld
from services.training.slots import Slots
from tests.training.ledger import BOUND, Ledger, origin, until


@asynccontextmanager
async def training_service(
    book: Ledger, limit: int | None = None, *, retry_pause: float = 0.01, **settings: Any
) -> AsyncIterator[Consumer]:
    node = replace(book.node(), slots=Slots(limit), retry_pause=retry_pause, **settings)
    consumer = Consumer(node, book.checkpoint)
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        task.cancel()
        async with asyncio.timeout(BOUND):
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()


def gated(gate: Path) -> tuple[str, ...]:
    return ("bash", "-c", f"echo $TRAINLEDGER_RUN >> order; until [ -e {gate} ]; do sleep 0.02; done")


async def kinds(book: Ledger, run_id: UUID) -> list[type[Event]]:
    return [type(fact) for fact in await book.facts(run_id)]


async def test_further_runs_wait_and_begin_in_order(book: Ledger, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with training_service(book, 1):
        runs = [await book.request(*gated(gate)) for _ in range(4)]
        ahead = [(await book.fact(run_id, RunQueued)).ahead for run_id in runs[1:]]
        assert ahead == [0, 1, 2]
        await book.fact(runs[0], RunStarted)
        await book.request_cancel(runs[2])
        assert (await book.fact(runs[2], RunCanceled)).attempt == 0
        gate.touch()
        for run_id in (runs[0], runs[1], runs[3]):
            await book.fact(run_id, RunCompleted)
    order = (book.root / "order").read_text().split()
    assert order == [f"{run_id}/1" for run_id in (runs[0], runs[1], runs[3])]
    assert await kinds(book, runs[2]) == [RunRequested, RunQueued, RunCanceled]


@pytest.mark.parametrize("forgotten", [False, True])
async def test_the_queue_outlives_the_service(book: Ledger, tmp_path: Path, forgotten: bool) -> None:
    """Also one that was killed before it wrote down whom it had accepted."""
    gate = tmp_path / "gate"
    async with training_service(book, 1):
        runs = [await book.request(*gated(gate)) for _ in range(4)]
        await book.fact(runs[0], RunStarted)
        for run_id in runs[1:]:
            await book.fact(run_id, RunQueued)
    if forgotten:
        book.checkpoint.unlink()
    async with training_service(book, 1):
        fifth = await book.request(*gated(gate))
        await book.fact(fifth, RunQueued)
        assert RunAssigned not in await kinds(book, runs[1])
        gate.touch()
        for run_id in (*runs, fifth):
            await book.fact(run_id, RunCompleted)
            assert (await kinds(book, run_id)).count(RunQueued) == (run_id != runs[0])
    assert (book.root / "order").read_text().split() == [f"{run_id}/1" for run_id in (*runs, fifth)]


async def test_runs_that_share_a_directory_take_turns(book: Ledger, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    (book.root / "a.yaml").write_text("output_dir: out\n")
    (book.root / "b.yaml").write_text("output_dir: ./x/../out/\n")
    (book.root / "c.yaml").write_text("output_dir: other\n")
    save = 'echo "{}" > out/checkpoint-1/trainer_state.json; [ -z "${OUTPUT_DIR-}" ]'
    script = (*gated(gate)[:2], f"{gated(gate)[2]}; mkdir -p out/checkpoint-1; {save}")
    async with training_service(book, own_output=False):
        first = await book.request(*script, yaml="a.yaml")
        second = await book.request(*script, yaml="b.yaml")
        other = await book.request(*script, yaml="c.yaml")
        await book.fact(second, RunQueued)
        await book.fact(other, RunStarted)
        gate.touch()
        for run_id in (first, second, other):
            await book.fact(run_id, RunCompleted)
    assert RunQueued not in await kinds(book, other)


async def test_of_a_trainers_log_in_a_shared_directory_each_run_has_its_own_part(book: Ledger) -> None:
    (book.root / "a.yaml").write_text("output_dir: out\n")
    script = 'mkdir -p out; echo "{\\"current_steps\\": $0, \\"loss\\": $0.5}" >> out/trainer_log.jsonl'
    async with training_service(book, own_output=False):
        runs = [await book.request("bash", "-c", script, str(step), yaml="a.yaml") for step in (1, 2)]
        for run_id in runs:
            await book.fact(run_id, RunCompleted)
    for step, run_id in enumerate(runs, 1):
        points = [point for batch in await book.batches(run_id) for point in batch.points]
        assert [(point.step, point.value) for point in points] == [(step, step + 0.5)]
        [kept] = [
            fact
            for fact in await book.facts(run_id)
            if isinstance(fact, RunArtifactRecorded) and fact.type == "metrics"
        ]
        assert await asyncio.to_thread(Path(kept.path).read_text) == f'{{"current_steps": {step}, "loss": {step}.5}}\n'


async def test_a_run_that_lasts_too_long_is_stopped_and_has_failed(book: Ledger) -> None:
    script = "trap 'exit 0' TERM; echo on; sleep 600 & wait"
    async with training_service(book):
        run_id = await book.request("bash", "-c", script, max_wall_seconds=0.5)
        failed = await book.fact(run_id, RunFailed)
    assert (failed.cause, failed.exit_code) == ("wall_time", 0)
    assert "0.5" in failed.reason
    assert [line.message for line in await book.lines(run_id)] == ["on"]


async def test_time_that_passes_without_the_service_counts(book: Ledger) -> None:
    async with training_service(book):
        run_id = await book.request("sleep", "600", max_wall_seconds=0.5)
        await book.fact(run_id, RunStarted)
    async with training_service(book):
        assert (await book.fact(run_id, RunFailed)).cause == "wall_time"


async def test_why_it_was_stopped_outlives_the_service(book: Ledger) -> None:
    """Killed between the stop and the report of it."""
    async with training_service(book):
        run_id = await book.request("sleep", "600", max_wall_seconds=1000)
        await book.fact(run_id, RunStarted)
    node = book.node()
    place = node.place(run_id, 1)
    (place.directory / "overtime").touch()
    await node.executors["local"].stop(place, 1)
    async with training_service(book):
        failed = await book.fact(run_id, RunFailed)
    assert (failed.cause, failed.exit_code) == ("wall_time", 143)


async def test_failed_launches_are_tried_again_as_further_attempts(book: Ledger) -> None:
    async with training_service(book, launch_retries=2):
        lasting = await book.request("bash", "missing.sh")
        await book.fact(lasting, RunLaunchFailed)
    async with training_service(book, launch_retries=30):
        passing = await book.request("bash", "late.sh")
        await book.fact(passing, RunAttemptFailed)
        (book.root / "late.sh").write_text("echo $TRAINLEDGER_RUN\n")
        completed = await book.fact(passing, RunCompleted)
    assert await kinds(book, lasting) == [
        RunRequested,
        *(RunAssigned, RunAttemptFailed) * 2,
        RunAssigned,
        RunLaunchFailed,
    ]
    lines = [line.message for batch in await book.batches(passing, completed.attempt) for line in batch.lines]
    assert lines == [f"{passing}/{completed.attempt}"]


@pytest.mark.parametrize("away", [False, True])
async def test_a_run_between_two_attempts_is_canceled(book: Ledger, away: bool) -> None:
    async with training_service(book, launch_retries=1, retry_pause=600):
        run_id = await book.request("bash", "missing.sh")
        await book.fact(run_id, RunAttemptFailed)
        if not away:
            await book.request_cancel(run_id)
            await book.fact(run_id, RunCanceled)
    if away:
        await book.request_cancel(run_id)
        async with training_service(book, launch_retries=1, retry_pause=600):
            await book.fact(run_id, RunCanceled)
    assert (await kinds(book, run_id)).count(RunAssigned) == 1


class Immortal(LocalExecutor):
    """Says of what it stopped that it is alive, as long as `survivors` has something to say."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, withheld)
        self.survivors: list[tuple[int, ...]] = [(7,), (7,), (7, 8)]
        self.only: UUID | None = None

    async def stop(self, place: Place, grace: float) -> tuple[int, ...]:
        stopped = await super().stop(place, grace)
        concerns = self.only in (None, place.run_id)
        return self.survivors.pop(0) if self.survivors and concerns else stopped


async def test_a_stop_that_cannot_be_confirmed_is_on_record(book: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.training.supervisor._STOP_AGAIN", 0.01)
    executor = Immortal(book.root)
    async with training_service(book, executors={"local": executor}):
        run_id = await book.request("sleep", "600")
        await book.fact(run_id, RunStarted)
        await book.request_cancel(run_id)
        await book.fact(run_id, RunCanceled)
    await until(lambda: not executor.survivors)
    said = [fact.pids for fact in await book.facts(run_id) if isinstance(fact, RunStopUnconfirmed)]
    assert said == [(7,), (7, 8)]


async def test_what_does_not_stop_takes_its_own_slot_only(book: Ledger) -> None:
    """What a node finds of a run that was declared lost meanwhile."""
    executor = Immortal(book.root)
    executor.survivors = [(7,)] * 10
    async with training_service(book):
        executor.only = lost = await book.request("sleep", "600")
        await book.fact(lost, RunStarted)
    await book.dispatch(ReportRunEnded(run_id=lost, attempt=1, exit_code=None, cause="lost"), origin())
    async with training_service(book, 2, executors={"local": executor}):
        await until(lambda: len(executor.survivors) < 10)
        await book.fact(await book.request("true"), RunCompleted)
