"""A job whose node is not heard of any more ends; one whose service lives is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from contracts.deid import ReportDeidentificationLost
from events.deid import DeidentificationAssigned, DeidentificationCompleted, DeidentificationFailed
from services.projector.node_watch import NodeWatch
from tests.deid.ledger import DeidLedger, deid_ledger, origin
from tests.deid.test_jobs import LINES, held_at_work

HEARTBEAT = 0.1
PATIENCE = 2.0


@pytest.fixture
async def book(nats_url: str, tmp_path: Path) -> AsyncIterator[DeidLedger]:
    async with deid_ledger(nats_url, tmp_path) as made:
        yield made


@asynccontextmanager
async def watching(book: DeidLedger, job_id: UUID) -> AsyncIterator[None]:
    async def live_runs(_: str) -> Sequence[UUID]:
        return ()

    async def live_jobs(node: str) -> Sequence[UUID]:
        return (job_id,) if node == book.settings.node else ()

    made = NodeWatch(book.nc, book.dispatch, live_runs, live_jobs, PATIENCE, look=HEARTBEAT)
    watch = asyncio.create_task(made.run())
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])
        assert watch.cancelled()


async def test_a_job_of_a_service_that_is_silent_is_lost(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    before = book.stored()
    async with book.service(HEARTBEAT) as place:
        job_id = await book.request(dataset_id, seed=7)
        await held_at_work(place)
    async with watching(book, job_id), watching(book, job_id):
        failed = await book.fact(job_id, DeidentificationFailed)
    assert failed.cause == "lost"
    assert book.settings.node in failed.reason
    assert book.settings.node in failed.reason_en
    async with book.service(HEARTBEAT):  # it returns, and its job is over
        await book.tidied()
        again = await book.request(dataset_id, seed=7)
        await book.fact(again, DeidentificationCompleted)
    assert [type(fact) for fact in await book.facts(job_id)][1:] == [DeidentificationAssigned, DeidentificationFailed]
    assert len(book.stored() - before) == 1


async def test_a_service_that_lives_keeps_its_job(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    async with book.service(HEARTBEAT) as place:
        job_id = await book.request(dataset_id)
        await held_at_work(place)
        async with watching(book, job_id):
            await asyncio.sleep(PATIENCE + 1.0)  # the time is what is tried
    assert [type(fact) for fact in await book.facts(job_id)][1:] == [DeidentificationAssigned]


async def test_a_service_that_was_given_up_leaves_its_job_alone(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    before = book.stored()
    async with book.service() as place:
        job_id = await book.request(dataset_id)
        await held_at_work(place)
        lost = ReportDeidentificationLost(job_id=job_id, node=book.settings.node, silent_seconds=300)
        await book.dispatch(lost, origin())
        await book.tidied()
    assert book.stored() == before
    assert not any(version.deidentified for version in (await book.state(dataset_id)).versions)
