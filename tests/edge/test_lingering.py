"""Clients that send all of a request before they look for its answer read that answer, however early it was given."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx
import pytest
from litestar.types import HTTPReceiveMessage, Message

from contracts.policies import LARGEST_POLICY
from services.edge.lingering import Lingering
from tests.edge.conftest import World
from tests.edge.test_server import listening, raw

JSON = "application/json"
YAML = "application/yaml"
FORM = "multipart/form-data; boundary=x"
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.yaml"\r\n\r\n'
MUCH = 6_000_000  # bytes: more than the buffers of a connection hold
SPACES = b" " * MUCH


@pytest.fixture
async def server(world: World) -> AsyncIterator[str]:
    async with listening(world.app) as url:
        yield url


def told(method: str, url: str, kind: str, body: bytes | Iterable[bytes]) -> tuple[int, str]:
    """Status and code that a client of the standard library reads; it asks the server to close the connection."""
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method=method)
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(request, timeout=60)
    return answer.value.code, json.loads(answer.value.read())["code"]


@pytest.mark.parametrize(
    ("method", "path", "kind", "body", "status", "code"),
    [
        ("POST", "/projects", JSON, SPACES, 413, "body_too_large"),
        ("POST", "/deployments", JSON, b'{"tags": ["' + b"x" * MUCH + b'"]}', 413, "body_too_large"),
        ("POST", "/v1/deidentify:test", JSON, b'{"text": ["' + b"x" * MUCH + b'"]}', 413, "body_too_large"),
        ("PUT", "/v1/deid/policies/mine", YAML, b"#" * MUCH, 413, "body_too_large"),
        ("PUT", "/v1/deid/policies/mine", YAML, b"#" * (LARGEST_POLICY + 1), 413, "policy_too_large"),
        ("PUT", "/v1/train-config", FORM, FILE + b"#" * MUCH, 413, "file_too_large"),
        ("POST", "/v1/train-config", FORM, FILE + b"#" * MUCH, 405, "method_not_allowed"),
        ("PUT", "/v1/datasets/none/files", FORM, FILE + b"#" * MUCH, 404, "dataset_not_found"),
        ("POST", "/nowhere", JSON, SPACES, 404, "not_found"),
        ("POST", "/projects%2f", JSON, SPACES, 404, "not_found"),
    ],
)
async def test_a_plain_client_reads_why_much_was_refused(
    server: str, method: str, path: str, kind: str, body: bytes, status: int, code: str
) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (body[start : start + 50_000] for start in range(0, len(body), 50_000))

    for _ in range(3):
        for sent in (body, chunks()):
            assert await asyncio.to_thread(told, method, server + path, kind, sent) == (status, code)


async def test_a_connection_that_is_kept_is_good_for_more(server: str) -> None:
    async with httpx.AsyncClient(base_url=server, timeout=60, limits=httpx.Limits(max_connections=1)) as client:
        for _ in range(3):
            answer = await client.post("/projects", content=SPACES, headers={"Content-Type": JSON})
            assert answer.json()["code"] == "body_too_large"
            assert (await client.get("/healthz")).status_code == 200


async def test_the_answer_does_not_wait_for_the_rest(server: str) -> None:
    head = b"POST /projects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n"
    reader, writer = await raw(httpx.URL(server), head)
    async with asyncio.timeout(4):  # less than it lingers
        assert b" 413 " in await reader.readline()
        assert json.loads((await reader.readuntil(b"}")).partition(b"\r\n\r\n")[2])["code"] == "body_too_large"
    writer.write(b"x" * 5_000_000)
    await writer.drain()
    assert await reader.read() == b""
    writer.close()


class Answered:
    """An application's answer without its request's rest, of which `rest` comes."""

    def __init__(self, rest: AsyncIterator[bytes]) -> None:
        self._rest = rest
        self.sent: list[Message] = []

    async def receive(self) -> HTTPReceiveMessage:
        body = await anext(self._rest)
        return {"type": "http.request", "body": body, "more_body": True}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def give(self, **bounds: float) -> None:
        send = Lingering(self.receive, self.send, **bounds).send
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"no", "more_body": False})


async def for_ever(every: float) -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(every)
        yield b"x"


@pytest.mark.parametrize(("every", "bounds"), [(3600, {"silence": 0.05}), (0, {"whole": 0.05})])
async def test_a_rest_that_never_ends_is_cut_off(every: float, bounds: dict[str, Any]) -> None:
    answered = Answered(for_ever(every))
    async with asyncio.timeout(4):
        await answered.give(**bounds)
    assert [message.get("body") for message in answered.sent] == [None, b"no", b""]
    assert [message.get("more_body") for message in answered.sent] == [None, True, False]
