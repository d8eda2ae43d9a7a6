"""The OpenAPI document is true, and its page needs no network."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from contracts.problem_kinds import PROBLEMS
from contracts.problems import Refused
from services.edge.app import ROUTES
from tests.edge.conftest import QWEN, World
from tests.edge.test_server import listening

pytestmark = pytest.mark.slow

_EXAMPLES = 8  # of each operation and mode; the time goes into making them up, an answer takes some 20 ms
_CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
]


async def test_the_document_describes_every_route(http: httpx.AsyncClient) -> None:
    answer = await http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    described = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert described == {route.operation_id for route in ROUTES if route.include_in_schema is not False}
    example = document["paths"]["/projects"]["post"]["requestBody"]["content"]["application/json"]["schema"]["examples"]
    assert example == [QWEN]
    assert document["components"]["schemas"]["CreateProject"]["additionalProperties"] is False


async def test_the_page_fetches_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "//" not in page.text.replace("<!DOCTYPE", "")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 4
    for asset in assets:
        answer = await http.get(asset)
        assert answer.status_code == 200, asset
        assert answer.content
    assert "SwaggerUIBundle" in (await http.get("/docs/swagger-ui-bundle.js")).text
    assert "/openapi.json" in (await http.get("/docs/start.js")).text
    assert (await http.get("/docs/index.html")).status_code == 404
    assert (await http.get("/docs/..%2Fapp.py")).status_code == 404


def test_every_problem_has_both_languages() -> None:
    for code, kind in PROBLEMS.items():
        assert sorted(re.findall(r"\{\w+\}", kind.zh)) == sorted(re.findall(r"\{\w+\}", kind.en)), code
        assert 400 <= kind.status < 600


@pytest.mark.parametrize(("code", "title"), [("not_found", "Not Found"), ("invalid_body", "Unprocessable Content")])
def test_a_problem_is_titled_alike_by_every_python(code: str, title: str) -> None:
    assert Refused(code, reason="").problem("en", "").title == title


async def test_no_request_is_a_fault_and_every_answer_is_documented(world: World, qwen: dict[str, object]) -> None:
    async with listening(world.app) as address:
        await asyncio.to_thread(_explore, address)


def _explore(address: str) -> None:
    # Here, as every process of the suite collects this file and one runs it.
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import CHECKS, load_all_checks
    from schemathesis.core.result import Ok

    load_all_checks()
    checks = CHECKS.get_by_names(_CHECKS)
    schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    answered = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=_EXAMPLES,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=found.ok().as_strategy(mode))
            def explore(case: Any) -> None:
                nonlocal answered
                answered += 1
                answer = case.call()
                case.validate_response(answer, checks=checks)

            explore()
    assert answered > _EXAMPLES
