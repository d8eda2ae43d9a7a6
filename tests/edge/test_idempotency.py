"""One key, one command, one answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import quote

import httpx
import nats.js.errors
import pytest

from tests.edge.conftest import QWEN, World
from tests.edge.telling import telling


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


async def test_answers_are_as_of_their_own_position(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    await http.post("/projects/qwen-finetune/runs")
    headers = [{"Idempotency-Key": f"revise-{number}"} if number % 2 else {} for number in range(40)]

    async def revise(number: int) -> httpx.Response:
        return await http.patch("/projects/qwen-finetune", json={"description": str(number)}, headers=headers[number])

    answers = await asyncio.gather(*map(revise, range(40)))
    assert [answer.json()["description"] for answer in answers] == [str(number) for number in range(40)]
    for number, answer in enumerate(answers):
        past = await http.get("/projects/qwen-finetune", params={"as_of": answer.headers["event-position"]})
        assert answer.json() == past.json()
        if headers[number]:
            again = await revise(number)
            assert (again.text, again.headers["event-position"]) == (answer.text, answer.headers["event-position"])
    assert len({answer.headers["event-position"] for answer in answers}) == 40


async def test_what_changes_nothing_is_answered_as_of_now(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    started = await http.post("/projects/qwen-finetune/runs")
    unchanged = await http.patch("/projects/qwen-finetune", json={"tags": QWEN["tags"]})
    assert [run["id"] for run in unchanged.json()["runs"]] == [started.json()["id"]]
    assert int(unchanged.headers["event-position"]) >= int(started.headers["event-position"])


async def test_a_repeated_change_is_answered_alike_although_its_runs_have_gone_on(
    http: httpx.AsyncClient, qwen: dict[str, object], world: World
) -> None:
    run = await telling(world, http)
    await run.say(*(f"line {number}" * 50 for number in range(30)))

    async def revised() -> httpx.Response:
        return await http.patch(
            "/projects/qwen-finetune", json={"description": "now"}, headers={"Idempotency-Key": "once"}
        )

    first = await revised()
    assert len(first.json()["runs"]) == 1
    await run.say("more", loss=0.5)
    await run.end()
    again = await revised()
    assert again.json() == first.json() == (await http.get("/v1/commands/once")).json()["result"]
    record = await world.nc.jetstream().get_last_msg(
        "OUTCOMES", f"outcomes.{first.headers['command-id'].replace('-', '')}"
    )
    assert len(record.data or b"") < len(first.content)


async def test_what_is_told_while_the_read_models_lag_is_not_kept(
    http: httpx.AsyncClient, qwen: dict[str, object], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await http.post("/projects/qwen-finetune/runs")

    async def never(*_: object) -> bool:
        return False

    async def revised() -> httpx.Response:
        return await http.patch(
            "/projects/qwen-finetune", json={"description": "now"}, headers={"Idempotency-Key": "once"}
        )

    with monkeypatch.context() as lagging:
        lagging.setattr(world.parts.edge.reads, "passed", never)
        assert "projection-lag" in (await revised()).headers
    again = await revised()
    assert [len(again.json()["runs"]), again.json()["description"]] == [1, "now"]
    assert "projection-lag" not in again.headers


async def test_an_erased_person_is_named_by_no_stored_answer(
    http: httpx.AsyncClient, qwen: dict[str, object], world: World
) -> None:
    requests: tuple[tuple[str, str, object], ...] = (
        ("POST", "/projects", QWEN | {"name": "another", "owner": "王小明"}),
        ("PATCH", "/projects/qwen-finetune", {"owner": "王小明"}),
        ("POST", "/projects/qwen-finetune/archive", None),
        ("POST", "/projects/qwen-finetune/unarchive", None),
    )

    async def asked(number: int) -> httpx.Response:
        method, path, body = requests[number]
        return await http.request(method, path, json=body, headers={"Idempotency-Key": f"person-{number}"})

    for number in range(len(requests)):
        assert (await asked(number)).json()["owner"] == "王小明"
        assert (await http.get(f"/v1/commands/person-{number}")).json()["result"]["owner"] == "王小明"
    js = world.nc.jetstream()
    for number in range(1, (await js.stream_info("OUTCOMES")).state.last_seq + 1):
        with contextlib.suppress(nats.js.errors.NotFoundError):
            assert "王小明" not in ((await js.get_msg("OUTCOMES", number)).data or b"").decode()
    people = world.parts.people
    person = await people.find("王小明")
    assert person is not None
    assert await people.erase(person, js)
    for number in range(len(requests)):
        assert (await asked(number)).json()["owner"] == str(person)
        assert (await http.get(f"/v1/commands/person-{number}")).json()["result"]["owner"] == str(person)


async def test_a_view_that_an_earlier_release_stored_is_not_served(
    http: httpx.AsyncClient, qwen: dict[str, object], world: World
) -> None:
    revised = await http.patch(
        "/projects/qwen-finetune", json={"description": "now"}, headers={"Idempotency-Key": "earlier"}
    )
    js = world.nc.jetstream()
    subject = f"outcomes.{revised.headers['command-id'].replace('-', '')}"
    record = json.loads((await js.get_last_msg("OUTCOMES", subject)).data or b"")
    record["settled"] |= {"body": revised.json() | {"owner": "somebody erased"}, "lagging": True}
    await js.publish(subject, json.dumps(record).encode())
    again = await http.patch(
        "/projects/qwen-finetune", json={"description": "now"}, headers={"Idempotency-Key": "earlier"}
    )
    assert again.json() == revised.json() == (await http.get("/v1/commands/earlier")).json()["result"]
    assert "projection-lag" not in again.headers


@pytest.mark.parametrize("key", ["/a", "a/", "//a//b", "%2F", "a%2520b", "~!@$&'()*+,;=:[]?#"])
async def test_every_key_can_be_looked_up(http: httpx.AsyncClient, qwen: dict[str, object], key: str) -> None:
    created = await http.post("/projects", json=QWEN | {"name": "another"}, headers={"Idempotency-Key": key})
    outcome = await http.get(f"/v1/commands/{quote(key, safe='')}")
    assert outcome.status_code == 200, outcome.text
    assert outcome.json()["command_id"] == created.headers["command-id"]


async def test_who_only_looks_is_not_entered_among_the_people(
    http: httpx.AsyncClient, qwen: dict[str, object], world: World
) -> None:
    created = await http.post("/projects", json=QWEN | {"name": "another"})
    for address in ("create-1", created.headers["command-id"]):
        await http.get(f"/v1/commands/{address}", headers={"X-Actor": "getter"})
    assert await world.parts.people.find("getter") is None
