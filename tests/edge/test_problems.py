"""Every error is a problem, in the caller's language."""

from __future__ import annotations

import logging
import re
from typing import Any

import httpx
import pytest

from services.edge.app import ROUTES
from services.edge.problems import language_of
from tests.edge.conftest import QWEN, World

ENGLISH = {"Accept-Language": "en-US,en;q=0.9"}


def check(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    return problem


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/nowhere", None, 404, "not_found"),
    ("GET", "/projects/nobody", None, 404, "project_not_found"),
    ("GET", "/projects/a%2Fruns", None, 404, "not_found"),
    ("GET", "/projects/a%2fb", None, 404, "not_found"),
    ("GET", "/projects//runs", None, 404, "not_found"),
    ("GET", "/projects/nobody/runs", None, 404, "project_not_found"),
    ("GET", "/projects/nobody/runs/5fd396ac-30a4-4eaf-a6b3-81f5b5859377", None, 404, "project_not_found"),
    ("GET", "/projects/nobody/runs/no-uuid", None, 404, "run_not_found"),
    ("POST", "/projects/nobody/runs", None, 404, "project_not_found"),
    ("POST", "/projects/nobody/runs", {"start_command": "bash x.sh"}, 404, "project_not_found"),
    ("POST", "/projects/nobody/archive", None, 404, "project_not_found"),
    ("POST", "/projects/nobody/archive", {}, 404, "project_not_found"),
    ("POST", "/projects/nobody/archive", {"reason": "over"}, 422, "invalid_body"),
    ("DELETE", "/v1/train-config", {"force": True}, 422, "invalid_body"),
    ("PATCH", "/projects/nobody", {"owner": "bob"}, 404, "project_not_found"),
    ("POST", "/projects/nobody/runs/5fd396ac-30a4-4eaf-a6b3-81f5b5859377/cancel", None, 404, "run_not_found"),
    ("GET", "/v1/commands/nothing", None, 404, "command_not_found"),
    ("DELETE", "/projects", None, 405, "method_not_allowed"),
    ("POST", "/projects", {"name": "x"}, 422, "invalid_body"),
    ("POST", "/projects", None, 422, "invalid_body"),
    ("PATCH", "/projects/nobody", None, 422, "invalid_body"),
    ("POST", "/projects", QWEN | {"nam": "x"}, 422, "invalid_body"),
    ("POST", "/projects", QWEN | {"name": "a/b"}, 422, "invalid_body"),
    ("POST", "/projects", QWEN | {"description": "a\0b"}, 422, "invalid_body"),
    ("POST", "/projects", QWEN | {"tags": ["a\x07"]}, 422, "invalid_body"),
    ("POST", "/projects", QWEN | {"training_yaml_name": "a.yaml; rm -rf /"}, 422, "invalid_body"),
    ("POST", "/projects", QWEN | {"training_yaml_name": "../../etc/passwd"}, 422, "invalid_body"),
    ("POST", "/projects", QWEN | {"dataset_name": "/etc/passwd"}, 422, "invalid_body"),
    ("GET", "/projects?as_off=3", None, 400, "invalid_parameter"),
    ("GET", "/projects?as_of=1&as_of=2", None, 400, "invalid_parameter"),
    ("GET", "/projects?limit=0", None, 400, "invalid_parameter"),
    ("GET", "/projects?limit=many", None, 400, "invalid_parameter"),
    ("GET", "/projects?cursor=%20", None, 400, "invalid_parameter"),
    ("GET", "/projects?as_of=yesterday", None, 400, "invalid_parameter"),
    ("GET", "/projects?as_of=999999", None, 400, "invalid_parameter"),
    ("GET", "/projects?as_of=2999-01-01T00:00:00Z", None, 400, "invalid_parameter"),
    ("GET", "/projects?as_of=", None, 400, "invalid_parameter"),
]


async def test_refused_requests(http: httpx.AsyncClient, world: World) -> None:
    for method, path, body, status, code in REFUSED:
        in_chinese = check(await http.request(method, path, json=body), status, code)
        in_english = check(await http.request(method, path, json=body, headers=ENGLISH), status, code)
        assert any("\u4e00" <= character <= "\u9fff" for character in in_chinese["detail"]), in_chinese
        assert in_english["detail"] != in_chinese["detail"]
    assert await world.parts.log.last_position(("projects", "runs")) == 0


async def test_a_problem_points_at_each_field(http: httpx.AsyncClient) -> None:
    problem = check(await http.post("/projects", json={"name": 1}, headers=ENGLISH), 422, "invalid_body")
    assert {"pointer": "/name", "detail": "must be str, not int"} in problem["errors"]
    assert {"pointer": "/owner", "detail": "is required"} in problem["errors"]


async def test_the_same_name_again(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    check(await http.post("/projects", json=QWEN), 409, "project_exists")


async def test_an_archived_project_takes_no_runs(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    assert (await http.post("/projects/qwen-finetune/archive")).json()["status"] == "archived"
    check(await http.post("/projects/qwen-finetune/runs"), 409, "project_archived")
    check(await http.patch("/projects/qwen-finetune", json={"owner": "bob"}), 409, "project_archived")
    assert (await http.post("/projects/qwen-finetune/unarchive")).json()["status"] == "active"
    check(await http.post("/projects/qwen-finetune/unarchive"), 409, "project_not_archived")


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/projects", {"Min-Event-Position": "x"}, "Min-Event-Position"),
        ("/v1/train-config/diff?from=x", {}, "from"),
        ("/v1/datasets?type=a&limit=x", {}, "limit"),
        ("/deployments?all=perhaps", {}, "all"),
        ("/v1/datasets/x/versions/0", {}, "version"),
    ],
)
async def test_a_parameter_is_called_as_in_the_request(
    http: httpx.AsyncClient, path: str, headers: dict[str, str], name: str
) -> None:
    answer = await http.get(path, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"参数 {name} 无效：")


async def test_headers_that_cannot_be_read(http: httpx.AsyncClient) -> None:
    for value, wrong in (("x", "类型应为整数，实际为字符串"), ("-1", "必须 >= 0")):
        answer = await http.get("/projects", headers={"Min-Event-Position": value})
        check(answer, 400, "invalid_parameter")
        assert answer.json()["detail"] == f"参数 Min-Event-Position 无效：{wrong}"
    check(await http.post("/projects", json=QWEN, headers={"Idempotency-Key": "a b"}), 400, "invalid_command_id")
    check(await http.post("/projects", json=QWEN, headers={"Idempotency-Key": "x" * 201}), 400, "invalid_command_id")
    for actor, wrong in (
        (b"\xff", "不是有效的 UTF-8 文本"),
        (b"x" * 201, "最多允许 200 个字符"),
        (b" Service:training", "不能以 service: 开头，服务自己才如此称呼"),
    ):
        answer = await http.post("/projects", json=QWEN, headers={b"X-Actor": actor})
        check(answer, 400, "invalid_parameter")
        assert answer.json()["detail"] == f"参数 X-Actor 无效：{wrong}"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk"]
)
async def test_other_media_types(http: httpx.AsyncClient, content_type: str) -> None:
    answer = await http.post("/projects", content=b"{}", headers={"Content-Type": content_type})
    check(answer, 415, "unsupported_media_type")


async def test_media_types_of_json(http: httpx.AsyncClient) -> None:
    for content_type in ('application/json; charset="UTF-8"', "application/merge-patch+json"):
        answer = await http.post("/projects", content=b"{}", headers={"Content-Type": content_type})
        check(answer, 422, "invalid_body")


async def test_nothing_is_unpacked(http: httpx.AsyncClient) -> None:
    answer = await http.post("/projects", json=QWEN, headers={"Content-Encoding": "gzip"})
    check(answer, 415, "unsupported_content_encoding")
    assert (await http.post("/projects", json=QWEN, headers={"Content-Encoding": "identity"})).status_code == 201


async def test_an_archived_project_is_not_archived_again(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    assert (await http.post("/projects/qwen-finetune/archive")).status_code == 200
    check(await http.post("/projects/qwen-finetune/archive"), 409, "project_already_archived")


async def test_a_method_that_is_not_allowed_names_those_that_are(http: httpx.AsyncClient) -> None:
    answer = await http.delete("/projects/x")
    check(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, PATCH"


async def test_options_names_every_method_of_an_address(http: httpx.AsyncClient) -> None:
    methods: dict[str, set[str]] = {}
    for route in ROUTES:
        for path in route.paths:
            methods.setdefault(re.sub(r"\{[^}]*\}", "1", path), set()).update(route.http_methods)
    told = {path: await http.options(path) for path, found in methods.items() if "OPTIONS" not in found}
    assert {path for path, answer in told.items() if answer.status_code != 204} == set()
    assert {path: set(answer.headers["allow"].split(", ")) for path, answer in told.items()} == {
        path: methods[path] | {"OPTIONS"} | ({"HEAD"} if "GET" in methods[path] else set()) for path in told
    }


async def test_a_fault_tells_nothing_of_the_inside(
    http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(type(world.parts.edge.reads), "project_list", fail)
    with caplog.at_level(logging.ERROR):
        answer = await http.get("/projects", headers={"X-Request-Id": "tell-1"})
    check(answer, 500, "internal_error")
    assert "hunter2" not in answer.text
    assert "tell-1" in caplog.text


async def test_a_request_keeps_its_id(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz", headers={"X-Request-Id": "job 7"})).headers["x-request-id"] == "job 7"
    made = (await http.get("/healthz", headers={"X-Request-Id": "x" * 129})).headers["x-request-id"]
    assert len(made) == 32


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh"),
        ("en", "en"),
        ("EN-gb", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.3, zh;q=0.7", "zh"),
        ("fr-FR, en;q=0.5", "en"),
        ("fr", "zh"),
        ("*", "zh"),
        ("en;q=0", "zh"),
        ("en;q=x", "zh"),
    ],
)
def test_the_language_that_is_preferred(header: str, language: str) -> None:
    assert language_of(header) == language
