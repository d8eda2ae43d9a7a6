"""Policies of de-identification over HTTP: uploaded, versioned, refused with everything that is wrong, taken away."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest

from contracts.policies import LARGEST_POLICY
from tests.edge.conftest import World
from tests.edge.test_access import bearer, guarded, issue

BUILT_IN = ["default", "en-pii", "zh-pii"]
PATH = "/v1/deid/policies"


def yaml(version: str = "1", policy: str = "mine", action: str = "mask") -> str:
    return f'id: {policy}\nversion: "{version}"\ntypes:\n  NUMBER: {{action: {action}}}\n'


async def put(http: httpx.AsyncClient, content: str | bytes, policy: str = "mine", **headers: str) -> httpx.Response:
    headers = {"Content-Type": "application/yaml"} | headers
    return await http.put(f"{PATH}/{policy}", content=content, headers=headers)


async def masked(http: httpx.AsyncClient, policy: str = "mine") -> Any:
    return (await http.post("/v1/deidentify:test", json={"text": ["a 123456"], "policy_id": policy})).json()


async def test_a_policy_is_uploaded_and_used(http: httpx.AsyncClient) -> None:
    content = yaml()
    answer = await put(http, content)
    assert answer.status_code == 200, answer.text
    detail = answer.json()
    assert detail | {"id": "mine", "version": "1", "built_in": False, "versions": ["1"], "content": content} == detail
    assert detail["sha256"] == hashlib.sha256(content.encode()).hexdigest()
    assert (await http.get(f"{PATH}/mine")).json() == detail
    assert [policy["id"] for policy in (await http.get(PATH)).json()] == [*BUILT_IN, "mine"]
    assert await masked(http) == {"deidentified": ["a ******"], "mapping": None, "policy_version": "1"}
    again = await put(http, content)
    assert (again.status_code, again.json()) == (200, detail)


async def test_a_policy_has_versions(http: httpx.AsyncClient) -> None:
    first, second = yaml(), yaml("2", action="redact")
    assert (await put(http, first)).status_code == 200
    before = (await put(http, first)).headers["event-position"]
    assert (await put(http, second)).json()["versions"] == ["1", "2"]
    assert (await masked(http))["policy_version"] == "2"
    assert (await http.get(f"{PATH}/mine", params={"version": "1"})).json()["content"] == first
    assert (await http.get(f"{PATH}/mine", params={"as_of": before})).json()["content"] == first
    assert (await http.get(f"{PATH}/mine", params={"version": "3"})).json()["code"] == "policy_not_found"
    other = await put(http, yaml("2", action="hash"))
    assert (other.status_code, other.json()["code"]) == (409, "policy_version_exists")
    assert (await put(http, first)).json()["version"] == "1"  # the current one again, as it was
    assert (await masked(http))["policy_version"] == "1"


async def test_a_policy_is_taken_away_and_stays_on_record(http: httpx.AsyncClient) -> None:
    assert (await http.delete(f"{PATH}/mine")).json()["code"] == "policy_not_found"
    await put(http, yaml())
    gone = await http.delete(f"{PATH}/mine")
    assert (gone.status_code, gone.json()) == (200, {"id": "mine", "status": "deleted"})
    assert (await http.delete(f"{PATH}/mine")).status_code == 404
    assert (await http.get(f"{PATH}/mine")).status_code == 404
    assert [policy["id"] for policy in (await http.get(PATH)).json()] == BUILT_IN
    kept = (await http.get(f"{PATH}/mine", params={"version": "1"})).json()
    assert (kept["content"], kept["deleted"]) == (yaml(), True)
    assert (await masked(http))["code"] == "policy_unknown"
    assert (await put(http, yaml())).json()["versions"] == ["1"]
    assert (await masked(http))["policy_version"] == "1"


@pytest.mark.parametrize("policy", BUILT_IN)
async def test_what_is_built_in_stays(http: httpx.AsyncClient, policy: str) -> None:
    detail = (await http.get(f"{PATH}/{policy}")).json()
    assert (detail["built_in"], detail["versions"]) == (True, [detail["version"]])
    assert (await http.get(f"{PATH}/{policy}", params={"version": detail["version"]})).json() == detail
    assert (await http.get(f"{PATH}/{policy}", params={"version": "none"})).status_code == 404
    for answer in (await put(http, yaml(policy=policy), policy), await http.delete(f"{PATH}/{policy}")):
        assert (answer.status_code, answer.json()["code"]) == (409, "policy_built_in")


@pytest.mark.parametrize(
    ("content", "pointers"),
    [
        (yaml(policy="other"), ["/id"]),
        (yaml().replace('"1"', "1"), ["/version"]),
        (yaml().replace("NUMBER", "NUMBERS"), ["/types/NUMBERS"]),
        (yaml(action="date_shift"), ["/types/NUMBER/action"]),
        (yaml(action="shred"), ["/types/NUMBER/action"]),
        (yaml() + "key: mine\ncolour: red\n", ["/colour", "/key"]),
        (yaml() + "patterns: [{name: NUMBER, pattern: abc}]\n", ["/patterns/0/name"]),
        (yaml() + 'patterns: [{name: MINE, pattern: "(a"}]\n', ["/patterns/0/pattern"]),
        (yaml() + 'patterns: [{name: MINE, pattern: "(a)\\\\1"}]\n', ["/patterns/0/pattern"]),
        (yaml() + "id: mine\n", ["/id"]),
        ("types: {}\n", ["/id", "/types", "/version"]),
        (yaml() + 'description: "\\ud800"\n', ["/description"]),
        ("a: &a [1]\nb: *a\n", [""]),
        ("[" * 5_000, [""]),
        ("- 1\n", [""]),
        ("id: [\n", [""]),
        ("!!python/object/apply:os.system [id]", [""]),
        (b"id: \xff", [""]),
        (b"", [""]),
    ],
)
async def test_everything_that_is_wrong_is_said_in_both_languages(
    http: httpx.AsyncClient, content: str | bytes, pointers: list[str]
) -> None:
    said = []
    for language in ("zh", "en"):
        answer = await put(http, content, **{"Accept-Language": language})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body"), answer.text
        errors = answer.json()["errors"]
        assert sorted(error["pointer"] for error in errors) == pointers
        said.append([error["detail"] for error in errors])
    assert said[0] != said[1]
    assert (await http.get(f"{PATH}/mine")).status_code == 404


async def test_what_is_no_yaml_or_too_much_of_it_is_refused(http: httpx.AsyncClient) -> None:
    answer = await put(http, yaml(), **{"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    answer = await put(http, yaml() + "#" * LARGEST_POLICY)
    assert (answer.status_code, answer.json()["code"]) == (413, "policy_too_large")
    assert (await put(http, yaml(), "x" * 65)).status_code == 422


async def test_a_reader_changes_no_policy(world: World) -> None:
    await issue(world, "rita", "reader", "secret-reader")
    async with guarded(world) as http:
        assert (await http.get(PATH, headers=bearer("secret-reader"))).status_code == 200
        for answer in (
            await put(http, yaml(), **bearer("secret-reader")),
            await http.delete(f"{PATH}/mine", headers=bearer("secret-reader")),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
