"""The server itself, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import msgspec
import pytest

from events.event import Origin, Recorded
from events.log import Change, Undecided
from services.edge.front import Front
from services.edge.main import listen, run, serve
from services.runtime.settings import SettingRefused, Settings
from tests.edge.conftest import QWEN, World, client_of, eventually, made
from tests.nats_server import NatsServer
from tests.ports import free_port


@contextlib.asynccontextmanager
async def listening(app: Front) -> AsyncIterator[str]:
    """A server on a free port, as a process runs it; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    serving = asyncio.create_task(serve(app, listener, 5.0))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


@pytest.fixture
async def server(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with listening(world.app) as url, httpx.AsyncClient(base_url=url, timeout=90) as client:
        yield client


async def raw(url: httpx.URL, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request)
    await writer.drain()
    return reader, writer


async def test_an_oversized_body_is_refused_whether_it_says_so_or_not(server: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    declared = await server.post("/projects", content=b" " * 1_048_577, headers={"Content-Type": "application/json"})
    chunked = await server.post("/projects", content=chunks(), headers={"Content-Type": "application/json"})
    for answer in (declared, chunked):
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert "1048576" in answer.json()["detail"]


async def test_a_chunked_body_is_as_good(server: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        body = json.dumps(QWEN).encode()
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    answer = await server.post("/projects", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 201


async def test_a_client_that_leaves_after_half_a_body_leaves_nothing(
    server: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    head = (
        b"POST /projects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    )
    _, writer = await raw(server.base_url, head + b'{"name": "half')
    writer.close()
    await writer.wait_closed()
    assert (await server.get("/projects")).json() == []
    assert await world.parts.log.last_position() == 0
    assert "Traceback" not in caplog.text


async def test_a_client_that_does_not_wait_gets_its_command_done(server: httpx.AsyncClient, world: World) -> None:
    body = json.dumps(QWEN).encode()
    head = f"POST /projects HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    _, writer = await raw(server.base_url, head + body)
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(60):
        async for batch in world.parts.log.follow(0, ("projects",)):
            assert len(batch) == 1
            break
    answer = await server.get("/projects/qwen-finetune", headers={"Min-Event-Position": "1"})
    assert answer.json()["name"] == "qwen-finetune"


async def test_head_is_a_get_without_its_body(server: httpx.AsyncClient) -> None:
    answer = await server.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_what_is_no_http_is_refused(server: httpx.AsyncClient) -> None:
    reader, writer = await raw(server.base_url, b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n")
    assert b" 403 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_what_cannot_be_parsed_is_a_problem_too(
    server: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"Host: localhost\r\nX-Request-Id: mine\r\nAccept-Language: en\r\n"
    for request in (
        b"GET /healthz HTTP/1.1\r\n" + head + b"Transfer-Encoding: A\r\n\r\n",
        b"POST /projects HTTP/1.1\r\n" + head + b"Content-Length: many\r\n\r\n",
    ):
        reader, writer = await raw(server.base_url, request)
        answer, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert {b"content-type: application/problem+json", b"x-request-id: mine"} <= set(answer.split(b"\r\n"))
        problem = json.loads(body)
        assert (problem["code"], problem["request_id"]) == ("invalid_http", "mine")
        assert problem["detail"] == "This is not a valid HTTP request"
        writer.close()
    reader, writer = await raw(server.base_url, b"\x16\x03\x01\x02")  # as TLS begins
    assert json.loads((await reader.read()).partition(b"\r\n\r\n")[2])["detail"] == "这不是有效的 HTTP 请求"
    writer.close()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("piece", [b"X-Much: " + b"x" * 1_000, b"X-One: 1\r\nX-Two: 2\r\n", b"/path"])
async def test_a_head_without_end_is_not_read_on(server: httpx.AsyncClient, piece: bytes) -> None:
    begins = b"GET /" if piece == b"/path" else b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\n"
    reader, writer = await raw(server.base_url, begins)
    for _ in range(1 + 65_536 // len(piece)):  # no more than what is read: an answer could get lost otherwise
        writer.write(piece)
        await writer.drain()
    answer, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert json.loads(body)["code"] == "head_too_large"
    writer.close()


async def test_a_head_of_many_pieces_is_read(server: httpx.AsyncClient) -> None:
    reader, writer = await raw(server.base_url, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Much: ")
    for _ in range(60):
        writer.write(b"x" * 1_000)
        await writer.drain()
    writer.write(b"\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()


async def test_an_upgrade_that_is_offered_is_passed_over(
    server: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps(QWEN).encode()
    offer = b"Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    requests = (
        b"GET /healthz HTTP/1.1\r\n" + offer + b"\r\n",
        b"POST /projects HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (offer, len(body), body),
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    reader, writer = await raw(server.base_url, b"".join(requests))
    answers = await reader.read()
    assert [answers.count(status) for status in (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 201 Created\r\n")] == [2, 1]
    writer.close()
    reader, writer = await raw(server.base_url, b"CONNECT localhost:1 HTTP/1.1\r\n" + offer + b"\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_request_at_work_is_answered_before_the_server_stops(world: World) -> None:
    world.training.idle = True
    async with httpx.AsyncClient(timeout=90) as client:
        async with listening(world.app) as url:
            await client.post(f"{url}/projects", json=QWEN)
            asked = asyncio.create_task(client.post(f"{url}/projects/qwen-finetune/runs"))
            requested, *_ = await anext(world.parts.log.follow(0, ("runs",)))
            run_id = requested.meta.aggregate_id
            asyncio.get_running_loop().call_later(0.2, asyncio.ensure_future, world.training.launch(run_id))
        answer = await asked
    assert (answer.status_code, answer.json()["status"]) == (201, "running")


async def test_nats_away_is_told_and_gets_over(nats_server: NatsServer, settings: Settings) -> None:
    """Its own world, as the server is killed."""

    async with made(nats_server.url, settings, log_patience=1.0) as world, client_of(world) as http:
        created = await http.post("/projects", json=QWEN)
        nats_server.kill()
        ready = await http.get("/readyz", headers={"Accept-Language": "en"})
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert [wrong["pointer"] for wrong in ready.json()["errors"]] == ["/bus"]
        assert (await http.get("/projects/qwen-finetune")).json() == created.json()
        assert (await http.get("/healthz")).status_code == 200
        refused = await http.post("/projects", json=QWEN | {"name": "other"})
        assert (refused.status_code, refused.json()["code"]) == (503, "log_unavailable")
        nats_server.start()

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await eventually(is_ready)
        assert (await http.post("/projects", json=QWEN | {"name": "third"})).status_code == 201


async def test_what_may_be_on_record_is_not_said_to_be_away(
    http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = world.parts.log.append

    async def landed_unheard(*changes: Change, origin: Origin, time: datetime | None = None) -> list[Recorded]:
        await append(*changes, origin=origin, time=time)
        raise Undecided("no answer")

    monkeypatch.setattr(world.parts.log, "append", landed_unheard)
    keyed = {"Idempotency-Key": "once", "Accept-Language": "en"}
    unknown = await http.post("/projects", json=QWEN, headers=keyed)
    assert (unknown.status_code, unknown.json()["code"]) == (504, "outcome_unknown")
    assert "retry-after" not in unknown.headers
    monkeypatch.setattr(world.parts.log, "append", append)
    again = await http.post("/projects", json=QWEN, headers=keyed)
    assert (again.status_code, again.json()["id"]) == (201, unknown.json()["aggregate_id"])


async def test_the_database_away_is_told(world: World, http: httpx.AsyncClient, settings: Settings) -> None:
    await http.post("/projects", json=QWEN)
    with world.database.writing() as connection:
        for table in ("projects", "projection_state"):
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO away_{table}")
    answer = await http.get("/projects")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    ready = await http.get("/readyz")
    assert [(wrong["pointer"], wrong["detail"]) for wrong in ready.json()["errors"]] == [
        ("/database", "查询数据库中还没有表，请启动 `trainledger projector`")
    ]
    with world.database.writing() as connection:
        for table in ("projects", "projection_state"):
            connection.exec_driver_sql(f"ALTER TABLE away_{table} RENAME TO {table}")
    assert (await http.get("/projects")).status_code == 200
    assert (await http.get("/readyz")).json()["status"] == "ready"


async def test_a_command_is_accepted_though_the_database_is_away(nats_server: NatsServer, settings: Settings) -> None:
    settings = msgspec.structs.replace(settings, projection_wait_seconds=0.3)
    async with made(nats_server.url, settings) as world, client_of(world) as http:
        with world.database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE projection_state RENAME TO away")
        created = await http.post("/projects", json=QWEN)
        assert (created.status_code, created.json()["name"]) == (201, "qwen-finetune")
        assert created.headers["projection-lag"] == "1"
        assert (await http.get("/projects")).json()["code"] == "database_unavailable"
        with world.database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO projection_state")


async def test_the_process_serves_until_it_is_cancelled(nats_server: NatsServer, settings: Settings) -> None:
    async with made(nats_server.url, settings):
        host, port = "127.0.0.2", free_port()  # as much loopback as the usual one
        own = msgspec.structs.replace(settings, nats_url=nats_server.url, host=host, port=port)
        serving = asyncio.create_task(run(own))

        async def answers() -> bool:
            with contextlib.suppress(httpx.ConnectError):
                async with httpx.AsyncClient() as client:
                    return (await client.get(f"http://{host}:{port}/readyz")).status_code == 200
            assert not serving.done()
            return False

        await eventually(answers)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((host, port), timeout=60)


async def test_an_address_that_others_reach_needs_a_token(nats_server: NatsServer, settings: Settings) -> None:
    async with made(nats_server.url, settings):
        open_to_all = msgspec.structs.replace(settings, nats_url=nats_server.url, host="0.0.0.0", port=free_port())
        with pytest.raises(SettingRefused, match=r"TRAINLEDGER_HOST is 0\.0\.0\.0.*token add"):
            await run(open_to_all)


def test_a_port_that_is_taken_is_named_with_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingRefused, match=rf"127\.0\.0\.1:{port} .*--port"):
            listen(Settings(port=port))


def test_a_host_that_is_no_address_is_refused() -> None:
    with pytest.raises(SettingRefused, match="TRAINLEDGER_HOST"):
        listen(Settings(host="no such host"))
