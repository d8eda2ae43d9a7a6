"""Runs with bounds, over HTTP."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx

from contracts.runs import ReportRunQueued
from events.runs import RunRequested
from tests.edge.conftest import World


async def test_a_queued_run_is_answered_at_once(http: httpx.AsyncClient, world: World, qwen: dict[str, object]) -> None:
    """The bound of the wait for a launch is 60 s here."""
    world.training.idle = True

    async def queue_the_next() -> None:
        async for batch in world.parts.log.follow(after, ("runs",)):
            for entry in batch:
                if isinstance(entry.fact, RunRequested):
                    await world.training.report(ReportRunQueued(run_id=entry.meta.aggregate_id, ahead=0))
                    return

    after = await world.parts.log.last_position()
    queueing = asyncio.create_task(queue_the_next())
    async with asyncio.timeout(30):
        answer = await http.post("/projects/qwen-finetune/runs")
    await queueing
    run = answer.json()
    assert (answer.status_code, run["status"], run["queue_position"]) == (201, "pending", 1)
    canceled = (await http.post(f"/projects/qwen-finetune/runs/{run['id']}/cancel")).json()
    assert (canceled["status"], canceled["queue_position"]) == ("canceled", None)


async def test_a_run_may_be_bounded(http: httpx.AsyncClient, world: World, qwen: dict[str, object]) -> None:
    run = (await http.post("/projects/qwen-finetune/runs", json={"max_wall_seconds": 3600})).json()
    assert run["max_wall_seconds"] == 3600.0
    [fact, *_] = await world.parts.log.read("runs", UUID(run["id"]))
    assert isinstance(fact.fact, RunRequested)
    assert fact.fact.max_wall_seconds == 3600.0
    for wrong in (0, -1, "1h", 1e10):
        answer = await http.post("/projects/qwen-finetune/runs", json={"max_wall_seconds": wrong})
        assert answer.status_code == 422
