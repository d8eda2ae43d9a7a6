"""GET /v1/nodes: what is on record of nodes, and what they say of themselves just now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from contracts.nodes import DeclareNodeLost, Gpu, RegisterNode
from contracts.runs import ReportRunLost
from projections.queries.nodes import live_runs_of
from services.runtime.nodes.gpus import Device
from services.runtime.nodes.heartbeats import Heartbeats
from services.training.lease import Lease, own_heartbeat
from services.training.presence import answer_status_questions, stay_present
from tests.edge.conftest import World, eventually
from tests.edge.stand_in import NODE
from tests.edge.test_documented import NAIVE_MOMENT

A100 = Gpu(name="NVIDIA A100", uuid="GPU-1", memory_total=80 * 2**30, memory_free=79 * 2**30)
DESCRIPTION = RegisterNode(
    name=NODE, labels={"gpu": "a100", "site": "sh"}, executor="local", training_directory="/data1/qwen2.5-14b"
)


class GpusTwin:
    """In memory."""

    def __init__(self, *gpus: Gpu) -> None:
        self.gpus = gpus

    def devices(self) -> tuple[Device, ...]:
        return tuple(Device(index=index, gpu=gpu) for index, gpu in enumerate(self.gpus))

    def read(self) -> tuple[Gpu, ...]:
        return self.gpus


@asynccontextmanager
async def present(world: World, directory: Path) -> AsyncIterator[None]:
    """The stand-in as a node that is there."""
    lease = Lease(Heartbeats(world.nc), NODE, own_heartbeat(directory, "boot", 0.2))
    await lease.take()
    dispatch = world.training.dispatch
    staying = asyncio.create_task(stay_present(lease, dispatch, DESCRIPTION))
    subscription = await answer_status_questions(world.nc, NODE, GpusTwin(A100))
    try:
        yield
    finally:
        staying.cancel()
        await asyncio.wait([staying])
        await subscription.unsubscribe()


async def listed(http: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await http.get("/v1/nodes", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["event-position"]
    nodes: list[dict[str, Any]] = answer.json()
    return nodes


async def test_a_node_is_live_then_unreachable_then_lost_and_live_again(
    http: httpx.AsyncClient, world: World, qwen: dict[str, object], tmp_path: Path
) -> None:
    async def is_listed() -> bool:
        return bool(await listed(http))

    async with present(world, tmp_path):
        await eventually(is_listed)
        run = (await http.post("/projects/qwen-finetune/runs")).json()
        [live] = await listed(http)
    assert (live["name"], live["labels"]) == (NODE, {"gpu": "a100", "site": "sh"})
    assert (live["executor"], live["training_directory"]) == ("local", "/data1/qwen2.5-14b")
    assert (live["status"], live["lost_at"], live["runs"]) == ("live", None, [run["id"]])
    assert live["gpus"] == [
        {"name": "NVIDIA A100", "uuid": "GPU-1", "memory_total": 80 * 2**30, "memory_free": 79 * 2**30}
    ]
    assert NAIVE_MOMENT.fullmatch(live["last_heartbeat"])
    assert NAIVE_MOMENT.fullmatch(live["registered_at"])

    answer = await http.get("/v1/nodes")
    [unreachable] = answer.json()
    assert (await http.delete(f"/v1/nodes/{NODE}")).json()["code"] == "node_not_lost"
    assert (unreachable["status"], unreachable["gpus"], unreachable["runs"]) == ("unreachable", None, [run["id"]])
    assert unreachable["last_heartbeat"] >= live["last_heartbeat"]
    before = answer.headers["event-position"]

    await world.training.report(DeclareNodeLost(name=NODE, silent_seconds=300.0))
    await world.training.report(ReportRunLost(run_id=UUID(run["id"]), node=NODE, silent_seconds=300.0))
    await world.parts.edge.reads.passed(await world.parts.log.last_position(), 5.0)
    [lost] = await listed(http)
    assert (lost["status"], lost["runs"]) == ("lost", [])
    assert NAIVE_MOMENT.fullmatch(lost["lost_at"])
    failed = (await http.get(f"/projects/qwen-finetune/runs/{run['id']}")).json()
    assert (failed["status"], failed["failure_cause"]) == ("failed", "lost")
    assert NODE in failed["failure_reason"]
    assert failed["logs"][-1]["level"] == "ERROR"

    assert (await http.delete("/v1/nodes/nobody")).json()["code"] == "node_not_found"
    forgotten = await http.delete(f"/v1/nodes/{NODE}")
    assert (forgotten.status_code, forgotten.json()) == (200, {"name": NODE, "status": "forgotten"})
    assert await listed(http) == []

    async def is_live() -> bool:
        return [(node["status"], node["lost_at"]) for node in await listed(http)] == [("live", None)]

    async with present(world, tmp_path):
        await eventually(is_live)
        # The past holds what was on record, and nothing that somebody has to be asked for.
        [then] = await listed(http, as_of=before)
        assert then == unreachable | {"status": None, "last_heartbeat": None}
    assert await listed(http, as_of=1) == []


async def test_live_runs_are_found_without_reading_ended_ones(world: World) -> None:
    explained: list[str] = []
    with world.database.reading() as connection:
        assert live_runs_of(connection, NODE) == ()
        statement = "SELECT node FROM runs WHERE until IS NULL AND completed_at IS NULL ORDER BY created"
        explained = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]
    assert any("runs_live" in line for line in explained), explained
