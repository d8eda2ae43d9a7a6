"""De-identification of texts over HTTP: as documented, recorded, bounded, and silent about what it was sent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from events.commands import CommandRefused
from events.deid_texts import TextsDeidentified, TextsReversed
from tests.edge.conftest import World, eventually
from tests.edge.test_access import bearer, guarded, issue

DOCUMENTED = {
    "policy_id": "default",
    "text": ["客户手机号 13812345678"],
    "options": {"locale": "zh-CN", "format": "text", "return_mapping": True, "seed": 42},
}
SECRET = "13866668888"


async def deidentify(http: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await http.post("/v1/deidentify:test", json=body)


async def recorded(world: World) -> list[Any]:
    last = await world.parts.log.last_position()
    found: list[Any] = []
    if last:
        async for batch in world.parts.log.follow(0, ("deid_texts", "commands")):
            found += batch
            if batch[-1].meta.position >= last:
                break
    return found


async def test_the_documented_request(http: httpx.AsyncClient, world: World) -> None:
    answer = await http.post("/v1/deidentify:test", json=DOCUMENTED)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert sorted(body) == ["deidentified", "mapping", "policy_version"]
    assert body["policy_version"] == "2024-01-01"
    [pair] = body["mapping"]
    assert (pair["type"], pair["original"]) == ("NUMBER", "13812345678")
    assert re.fullmatch(r"\d{11}", pair["pseudo"])
    assert body["deidentified"] == [f"客户手机号 {pair['pseudo']}"]
    assert answer.headers["cache-control"] == "no-store"
    [entry] = await recorded(world)
    assert entry.fact == TextsDeidentified(
        policy_id="default",
        policy_version="2024-01-01",
        texts=1,
        counts={"NUMBER": 1},
        locale="zh-CN",
        format="text",
        seeded=True,
        mapping_given=True,
    )
    assert world.parts.people.name_of(UUID(entry.meta.origin.actor)) == "local"
    assert entry.meta.origin.correlation_id == answer.headers["x-request-id"]


async def test_everything_may_be_left_out(http: httpx.AsyncClient) -> None:
    body = (await deidentify(http, text=["a 1234 b 1234", "1234"])).json()
    assert body["mapping"] is None
    [first, second] = body["deidentified"]
    assert first == f"a {second} b {second}"


async def test_a_seed_gives_the_same_from_request_to_request(http: httpx.AsyncClient) -> None:
    answers = [(await deidentify(http, text=["123456789"], options={"seed": seed})).json() for seed in (7, 7, 8)]
    assert answers[0] == answers[1] != answers[2]


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (400, "policy_unknown", {"policy_id": SECRET, "text": [SECRET]}),
        (400, "locale_unknown", {"text": [SECRET], "options": {"locale": SECRET}}),
        (400, "format_unknown", {"text": [SECRET], "options": {"format": SECRET}}),
        (422, "invalid_body", {"text": SECRET}),
        (422, "invalid_body", {"text": []}),
        (422, "invalid_body", {"text": [SECRET, 13866668888]}),
        (422, "invalid_body", {"text": [[SECRET]]}),
        (422, "invalid_body", {"text": None}),
        (422, "invalid_body", {}),
        (422, "invalid_body", {"text": [SECRET], "option": {}}),
        (422, "invalid_body", {"text": [SECRET], "options": {"sed": 1}}),
        (422, "invalid_body", {"text": [SECRET], "options": None}),
        (422, "invalid_body", {"text": [SECRET], "options": {"seed": -1}}),
        (422, "invalid_body", {"text": [SECRET], "options": {"seed": 2**63}}),
        (422, "invalid_body", {"text": [SECRET], "options": {"seed": 10**40}}),
        (422, "invalid_body", {"text": [SECRET], "options": {"seed": 1.5}}),
        (422, "invalid_body", {"text": [SECRET], "options": {"seed": SECRET}}),
        (422, "invalid_body", {"text": [SECRET], "options": {"return_mapping": SECRET}}),
        (413, "too_many_texts", {"text": ["1"] * 1001}),
        (413, "text_too_large", {"text": ["1", SECRET + "汉" * 90_000]}),
        (413, "body_too_large", {"text": [SECRET + "x" * 1_100_000]}),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_of_the_text(
    http: httpx.AsyncClient, status: int, code: str, body: dict[str, Any]
) -> None:
    for language in ("zh", "en"):
        answer = await http.post("/v1/deidentify:test", json=body, headers={"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": ["13866668888 \xff"]}',
        b'{"text": ["13866668888"], "options": {"seed": NaN}}',
        b'{"text": ["13866668888"], "options": {"seed": Infinity}}',
        b'{"text": ["13866668888 \\ud800"]}',
        b'{"text": ["13866668888"]',
        b'{"text": ["13866668888"], "text": ["1"]}',
        b'["13866668888"]',
        b"13866668888",
        b"",
    ],
)
async def test_a_body_that_is_no_json_of_texts(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/v1/deidentify:test", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    assert SECRET not in answer.text


async def test_a_refusal_is_on_record_without_what_was_sent(http: httpx.AsyncClient, world: World) -> None:
    assert (await deidentify(http, policy_id="none", text=[SECRET])).status_code == 400
    [entry] = await recorded(world)
    assert entry.fact == CommandRefused(command="RecordTextsDeidentified", code="policy_unknown")


async def test_originals_are_told_to_tokens_that_may_reveal_only(world: World) -> None:
    await issue(world, "rita", "reader", "secret-reader")
    await issue(world, "otto", "operator", "secret-operator")
    await issue(world, "anna", "admin", "secret-admin")
    await issue(world, "rosa", "operator", "secret-reveal", may_reveal=True)
    plain = DOCUMENTED | {"options": {}}
    async with guarded(world) as http:
        for secret, body, status in (
            ("secret-reader", plain, 403),
            ("secret-operator", plain, 200),
            ("secret-operator", DOCUMENTED, 403),
            ("secret-admin", DOCUMENTED, 403),
            ("secret-reveal", DOCUMENTED, 200),
        ):
            answer = await http.post("/v1/deidentify:test", json=body, headers=bearer(secret))
            assert answer.status_code == status, (secret, answer.text)
        for secret, code in (("secret-admin", "reveal_forbidden"), ("secret-reader", "forbidden")):
            answer = await http.post("/v1/deidentify:reverse", json={"text": ["1"]}, headers=bearer(secret))
            assert (answer.status_code, answer.json()["code"]) == (403, code)


async def test_what_was_deidentified_is_brought_back(http: httpx.AsyncClient, world: World) -> None:
    texts = ["电话 13866668888，身份证 11010519491231002X", "mail zhang.san@example.com", "无"]
    hidden = (await deidentify(http, text=texts, policy_id="zh-pii")).json()
    assert hidden["deidentified"] != texts
    body = {"text": hidden["deidentified"], "policy_id": "zh-pii"}
    answer = await http.post("/v1/deidentify:reverse", json=body)
    assert answer.status_code == 200, answer.text
    counts = {"CN_ID": 1, "CN_PHONE": 1, "EMAIL": 1}
    assert answer.json() == {"text": texts, "counts": counts, "policy_version": hidden["policy_version"]}
    assert answer.headers["cache-control"] == "no-store"
    [_, reversal] = await recorded(world)
    assert reversal.fact == TextsReversed(
        policy_id="zh-pii",
        policy_version=hidden["policy_version"],
        texts=3,
        counts=counts,
        locale="zh-CN",
        format="text",
        seeded=False,
    )


async def test_with_its_seed_alone_the_default_is_brought_back(http: httpx.AsyncClient) -> None:
    seeded = {"options": {"seed": 42}}
    hidden = (await deidentify(http, text=["a 13866668888"], **seeded)).json()["deidentified"]
    back = await http.post("/v1/deidentify:reverse", json={"text": hidden} | seeded)
    assert back.json()["text"] == ["a 13866668888"], back.text
    without = await http.post("/v1/deidentify:reverse", json={"text": hidden})
    assert (without.status_code, without.json()["code"]) == (409, "not_reversible")


async def test_what_a_deleted_policy_made_is_brought_back(http: httpx.AsyncClient) -> None:
    policies = "/v1/deid/policies"
    first = 'id: mine\nversion: "1"\ntypes: {CN_PHONE: {}}\n'
    yaml = {"Content-Type": "application/yaml"}
    assert (await http.put(f"{policies}/mine", content=first, headers=yaml)).status_code == 200
    hidden = (await deidentify(http, text=[SECRET], policy_id="mine")).json()["deidentified"]
    assert (await http.put(f"{policies}/mine", content=first.replace("1", "2"), headers=yaml)).status_code == 200
    assert (await http.delete(f"{policies}/mine")).status_code == 200
    body = {"text": hidden, "policy_id": "mine", "policy_version": "1"}
    assert (await http.post("/v1/deidentify:reverse", json=body)).json()["text"] == [SECRET]
    unknown = await http.post("/v1/deidentify:reverse", json=body | {"policy_version": "3"})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "policy_version_unknown")


async def test_only_who_may_reveal_brings_back(world: World) -> None:
    await issue(world, "otto", "operator", "secret-operator")
    await issue(world, "rosa", "operator", "secret-reveal", may_reveal=True)
    async with guarded(world) as http:
        ask = {"text": [SECRET], "policy_id": "zh-pii"}
        answer = await http.post("/v1/deidentify:test", json=ask, headers=bearer("secret-operator"))
        body = ask | {"text": answer.json()["deidentified"]}
        for secret, status in (("secret-operator", 403), ("secret-reveal", 200)):
            answer = await http.post("/v1/deidentify:reverse", json=body, headers=bearer(secret))
            assert (answer.status_code, SECRET in answer.text) == (status, status == 200)


async def test_json_texts_stay_json(http: httpx.AsyncClient) -> None:
    text = json.dumps({"a": [{"b": "13866668888"}], "n": 13866668888, "k": None})
    answer = await deidentify(http, text=[text], options={"format": "json", "seed": 1})
    found = json.loads(answer.json()["deidentified"][0])
    assert (sorted(found), found["a"][0]["b"] != "13866668888") == (["a", "k", "n"], True)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":' * 20_000 + "1" + "}" * 20_000, "NaN", '{"a": 1} x'])
async def test_a_text_that_is_no_json_is_named(http: httpx.AsyncClient, text: str) -> None:
    answer = await deidentify(http, text=["{}", text], options={"format": "json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body"), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/text/1"]


async def test_on_loopback_originals_are_told_until_there_are_tokens(http: httpx.AsyncClient, world: World) -> None:
    assert (await http.post("/v1/deidentify:test", json=DOCUMENTED)).status_code == 200
    await issue(world, "otto", "operator", "secret")

    async def known() -> bool:
        return world.parts.tokens.any_active

    await eventually(known)
    refused = await http.post("/v1/deidentify:test", json=DOCUMENTED)
    assert (refused.status_code, refused.json()["code"]) == (403, "reveal_forbidden")
    assert (await http.post("/v1/deidentify:test", json=DOCUMENTED | {"options": {}})).status_code == 200


async def test_an_engine_that_dies_is_a_503_and_the_next_request_is_answered(
    http: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    engine = world.parts.edge.deid_texts.engine
    assert (await deidentify(http, text=["1"])).status_code == 200
    [process] = engine.waiting
    os.killpg(process.pid, signal.SIGSTOP)
    asking = asyncio.create_task(deidentify(http, text=[SECRET]))

    async def at_work() -> bool:
        return bool(engine.working)

    await eventually(at_work)
    process.kill()
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (503, "deid_unavailable")
    assert SECRET not in caplog.text + answer.text
    assert (await deidentify(http, text=[SECRET])).status_code == 200


async def test_the_secret_is_made_once_and_for_its_owner_only(world: World, tmp_path: Path) -> None:
    key = tmp_path / "deid.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert json.dumps(key.read_text())
