"""One key, one command, one answer."""

from __future__ import annotations

import asyncio

import httpx

from tests.edge.conftest import QWEN, World


async def test_a_hundred_retries_make_one_run(http: httpx.AsyncClient, qwen: dict[str, object], world: World) -> None:
    key = {"Idempotency-Key": "start-1"}
    answers = await asyncio.gather(*(http.post("/projects/qwen-finetune/runs", headers=key) for _ in range(100)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert len({answer.headers["command-id"] for answer in answers}) == 1
    assert len((await http.get("/projects/qwen-finetune/runs")).json()) == 1
    assert world.training.launched == 1


async def test_the_same_answer_later_and_another_body_refused(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "create-1"}
    first = await http.post("/projects", json=QWEN, headers=key)
    await http.patch("/projects/qwen-finetune", json={"owner": "bob"})
    again = await http.post("/projects", json=QWEN, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await http.post("/projects", json=QWEN | {"owner": "carol"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "command_id_reused")


async def test_refusals_are_remembered(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    key = {"Idempotency-Key": "create-2"}
    refused = await http.post("/projects", json=QWEN, headers=key)
    again = await http.post("/projects", json=QWEN, headers=key | {"Accept-Language": "en"})
    assert refused.json()["code"] == again.json()["code"] == "project_exists"
    assert refused.status_code == again.status_code == 409


async def test_what_became_of_a_command(http: httpx.AsyncClient) -> None:
    created = await http.post("/projects", json=QWEN, headers={"Idempotency-Key": "create-3"})
    for address in ("create-3", created.headers["command-id"]):
        outcome = (await http.get(f"/v1/commands/{address}")).json()
        assert outcome["command_id"] == created.headers["command-id"]
        assert outcome["status"] == "accepted"
        assert str(outcome["position"]) == created.headers["event-position"]
        assert outcome["result"] == created.json()
    await http.post("/projects", json=QWEN, headers={"Idempotency-Key": "create-4"})
    await http.post("/projects", json=QWEN, headers={"Idempotency-Key": "2026/01/create"})
    for address in ("2026/01/create", "2026%2F01%2Fcreate"):
        assert (await http.get(f"/v1/commands/{address}")).json()["problem"]["code"] == "project_exists"
    outcome = (await http.get("/v1/commands/create-4", headers={"Accept-Language": "en"})).json()
    assert (outcome["status"], outcome["problem"]["code"]) == ("refused", "project_exists")


async def test_every_post_and_patch_takes_a_key(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    run = (await http.post("/projects/qwen-finetune/runs")).json()
    for method, path, body in (
        ("PATCH", "/projects/qwen-finetune", {"description": "x"}),
        ("POST", f"/projects/qwen-finetune/runs/{run['id']}/cancel", None),
        ("POST", "/projects/qwen-finetune/archive", None),
        ("POST", "/projects/qwen-finetune/unarchive", None),
    ):
        headers = {"Idempotency-Key": f"{method} {path}".replace(" ", "-")}
        first = await http.request(method, path, json=body, headers=headers)
        again = await http.request(method, path, json=body, headers=headers)
        assert first.status_code == again.status_code == 200, first.text
        assert first.json() == again.json()


async def test_nobody_waits_who_prefers_not_to(http: httpx.AsyncClient, qwen: dict[str, object], world: World) -> None:
    world.training.idle = True
    answer = await http.post("/projects/qwen-finetune/runs", headers={"Prefer": "wait=1, respond-async"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.json()["status"] == "pending"
