"""Resuming runs over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.runs import RecordArtifact, ReportRunEnded
from tests.edge.conftest import World

CHECKPOINTS = ("/data/out/checkpoint-40", "/data/out/checkpoint-80")


async def failed_run(world: World, http: httpx.AsyncClient, *checkpoints: str) -> dict[str, Any]:
    run: dict[str, Any] = (await http.post("/projects/qwen-finetune/runs")).json()
    run_id = UUID(run["id"])
    for path in (*checkpoints, "/data/runs/out.log"):
        type_, name = ("checkpoint", path.rpartition("/")[2]) if path in checkpoints else ("log", "out.log")
        await world.training.report(RecordArtifact(run_id=run_id, name=name, type=type_, path=path, size=1))
    await world.training.report(ReportRunEnded(run_id=run_id, attempt=1, exit_code=1))
    canceled = await http.post(f"/projects/qwen-finetune/runs/{run_id}/cancel")  # refused, and shown after the end
    assert canceled.status_code == 409
    return run


async def artifacts_of(http: httpx.AsyncClient, run: dict[str, Any], count: int) -> dict[str, str]:
    path = f"/projects/qwen-finetune/runs/{run['id']}"
    found: dict[str, str] = {}
    for _ in range(200):
        detail = (await http.get(path)).json()
        found = {artifact["name"]: artifact["id"] for artifact in detail["artifacts"]}
        if len(found) == count and detail["completed_at"]:
            return found
    pytest.fail(f"only {found} came to be seen")


async def test_a_run_is_resumed_from_a_checkpoint(http: httpx.AsyncClient, world: World, qwen: dict[str, Any]) -> None:
    source = await failed_run(world, http, *CHECKPOINTS)
    artifacts = await artifacts_of(http, source, 3)
    path = f"/projects/qwen-finetune/runs/{source['id']}/resume"
    answer = await http.post(path)
    assert answer.status_code == 201, answer.text
    resumed = answer.json()
    assert resumed["id"] != source["id"]
    assert (resumed["status"], resumed["start_command"]) == ("running", source["start_command"])
    assert resumed["resume_source_artifact_id"] == artifacts["checkpoint-80"]
    earlier = await http.post(path, params={"source_artifact_id": artifacts["checkpoint-40"]})
    assert earlier.json()["resume_source_artifact_id"] == artifacts["checkpoint-40"]
    world.training.missing = {CHECKPOINTS[1]}
    assert (await http.post(path)).json()["resume_source_artifact_id"] == artifacts["checkpoint-40"]
    gone = await http.post(path, params={"source_artifact_id": artifacts["checkpoint-80"]})
    assert (gone.status_code, gone.json()["code"]) == (409, "checkpoint_incomplete")
    log = await http.post(path, params={"source_artifact_id": artifacts["out.log"]})
    assert (log.status_code, log.json()["code"]) == (409, "not_a_checkpoint")


async def test_a_repeated_request_resumes_once(http: httpx.AsyncClient, world: World, qwen: dict[str, Any]) -> None:
    source = await failed_run(world, http, *CHECKPOINTS)
    path, headers = f"/projects/qwen-finetune/runs/{source['id']}/resume", {"Idempotency-Key": "again"}
    answers = [await http.post(path, headers=headers) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]


async def test_what_cannot_be_resumed(http: httpx.AsyncClient, world: World, qwen: dict[str, Any]) -> None:
    source, other = await failed_run(world, http), await failed_run(world, http, CHECKPOINTS[0])
    foreign = (await artifacts_of(http, other, 2))["checkpoint-40"]
    path = f"/projects/qwen-finetune/runs/{source['id']}/resume"
    for params, code in (
        ({}, (409, "no_checkpoint")),
        ({"source_artifact_id": foreign}, (404, "artifact_not_found")),
        ({"source_artifact_id": str(uuid4())}, (404, "artifact_not_found")),
        ({"source_artifact_id": "checkpoint-40"}, (404, "artifact_not_found")),
    ):
        answer = await http.post(path, params=params)
        assert (answer.status_code, answer.json()["code"]) == code
    unknown = await http.post(f"/projects/qwen-finetune/runs/{uuid4()}/resume")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "run_not_found")
    live = (await http.post("/projects/qwen-finetune/runs")).json()
    answer = await http.post(f"/projects/qwen-finetune/runs/{live['id']}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "run_not_ended")
    own = await http.post(path, json={"start_command": "true"})
    assert (own.status_code, own.json()["code"]) == (400, "start_command_not_allowed")
