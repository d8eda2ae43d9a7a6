"""What runs left behind: listed, tagged, downloaded from the node that owns it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4, uuid5

import httpx
import pytest

from services.edge.downloads import disposition
from services.training.files import Files, answer_file_questions
from tests.edge.conftest import World, eventually
from tests.edge.stand_in import NODE
from tests.edge.telling import TellingRun, telling
from tests.edge.test_server import listening


@pytest.fixture
async def run(world: World, http: httpx.AsyncClient, qwen: dict[str, object]) -> TellingRun:
    return await telling(world, http)


@pytest.fixture
async def node(world: World, tmp_path: Path) -> AsyncIterator[Path]:
    """The training directory of a node that gives its files."""
    root = tmp_path / "训练 dir"
    root.mkdir()
    files = Files(world.parts.log, root, tmp_path / "runs")
    subscription = await answer_file_questions(world.nc, NODE, files)
    await world.nc.flush()
    yield root
    await subscription.unsubscribe()


@pytest.fixture
async def server(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with listening(world.app) as url, httpx.AsyncClient(base_url=url, timeout=90) as client:
        yield client


async def leave(run: TellingRun, path: Path, content: bytes, name: str = "out.log") -> str:
    """A file artifact; returns the path of its content."""
    _write(path, content)
    await run.leave(name, "log", str(path), size=len(content), sha256=hashlib.sha256(content).hexdigest())
    return f"{run.path}/artifacts/{uuid5(run.id, str(path))}/content"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


async def test_artifacts_are_listed_by_type_and_tag(http: httpx.AsyncClient, run: TellingRun) -> None:
    await run.leave("checkpoint-5", "checkpoint", "/d/checkpoint-5", size=7, files=2)
    await run.leave("run.yaml", "config", "/d/run.yaml", size=3, sha256="0" * 64)
    body = (await http.get(run.path + "/artifacts")).json()
    assert list(body) == ["run_id", "artifacts"]
    assert body["run_id"] == str(run.id)
    checkpoint, config = body["artifacts"]
    assert (checkpoint["name"], checkpoint["type"], checkpoint["path"], checkpoint["tags"]) == (
        "checkpoint-5",
        "checkpoint",
        "/d/checkpoint-5",
        [],
    )
    assert (checkpoint["size"], checkpoint["files"], checkpoint["sha256"]) == (7, 2, None)
    assert (await http.get(run.path)).json()["artifacts"] == [checkpoint, config]
    only = (await http.get(run.path + "/artifacts", params={"type": "config"})).json()
    assert only["artifacts"] == [config]
    assert (await http.get(run.path + "/artifacts", params={"tag": "best"})).json()["artifacts"] == []
    tagged = await http.post(f"{run.path}/artifacts/{checkpoint['id']}/tags", json={"tag": "best"})
    found = (await http.get(run.path + "/artifacts", params={"tag": "best"})).json()["artifacts"]
    assert found == [tagged.json()] == [checkpoint | {"tags": ["best"]}]


async def test_tags_come_and_go_once_each(http: httpx.AsyncClient, run: TellingRun, world: World) -> None:
    await run.leave("checkpoint-5", "checkpoint", "/d/checkpoint-5", size=7)
    path = f"{run.path}/artifacts/{uuid5(run.id, '/d/checkpoint-5')}/tags"
    first = await http.post(path, json={"tag": "最佳"})
    assert (first.status_code, first.json()["tags"]) == (200, ["最佳"])
    position = await world.parts.log.last_position()
    again = await http.post(path, json={"tag": "最佳"})
    assert (again.status_code, again.json()["tags"]) == (200, ["最佳"])
    assert await world.parts.log.last_position() == position
    await http.post(path, json={"tag": "team/release"})
    assert (await http.delete(path + "/最佳")).json()["tags"] == ["team/release"]
    assert (await http.delete(path + "/最佳")).json()["tags"] == ["team/release"]
    gone = await http.request("DELETE", path, json={"tag": "team/release"})
    assert (gone.status_code, gone.json()["tags"]) == (200, [])
    past = await http.get(run.path + "/artifacts", params={"as_of": position})
    assert past.json()["artifacts"][0]["tags"] == ["最佳"]
    assert "Event-Position" in gone.headers


async def test_a_tag_that_cannot_be_is_refused(http: httpx.AsyncClient, run: TellingRun) -> None:
    await run.leave("checkpoint-5", "checkpoint", "/d/checkpoint-5", size=7)
    artifact = f"{run.path}/artifacts/{uuid5(run.id, '/d/checkpoint-5')}"
    for body in ({"tag": ""}, {"tag": "x" * 101}, {"tag": "a\nb"}, {"tag": 1}, {}, {"tag": "a", "more": 1}):
        answer = await http.post(artifact + "/tags", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body"), body
    for path in (f"{run.path}/artifacts/{uuid4()}", f"{run.path}/artifacts/nonsense"):
        answer = await http.post(path + "/tags", json={"tag": "a"})
        assert (answer.status_code, answer.json()["code"]) == (404, "artifact_not_found")
    elsewhere = artifact.replace("qwen-finetune", "other")
    assert (await http.post(elsewhere + "/tags", json={"tag": "a"})).json()["code"] == "run_not_found"


async def test_a_file_is_downloaded_whole_and_in_part(server: httpx.AsyncClient, run: TellingRun, node: Path) -> None:
    content = os.urandom(1_300_000)  # three pieces
    path = await leave(run, node / "output" / '模型 a"b.bin', content, '模型 a"b.bin')
    whole = await server.get(path)
    assert (whole.status_code, whole.content == content) == (200, True)
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    assert whole.headers["etag"] == etag
    assert whole.headers["content-length"] == str(len(content))
    assert whole.headers["content-disposition"] == disposition('模型 a"b.bin')
    assert whole.headers["content-type"] == "application/octet-stream"
    size = len(content)
    for asked, start, end in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-600000", 5, 600_001),
        ("bytes=1299990-", size - 10, size),
        ("bytes=-7", size - 7, size),
        ("bytes=10-9999999", 10, size),
    ]:
        part = await server.get(path, headers={"Range": asked})
        assert (part.status_code, part.content == content[start:end]) == (206, True), asked
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for asked in ("bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=-"):
        assert len((await server.get(path, headers={"Range": asked})).content) == size, asked
    beyond = await server.get(path, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    assert (await server.get(path, headers={"If-None-Match": f'"x", {etag}'})).status_code == 304
    assert (await server.get(path, headers={"Range": "bytes=0-0", "If-Range": '"x"'})).status_code == 200
    assert (await server.get(path, headers={"Range": "bytes=0-0", "If-Range": etag})).status_code == 206
    head = await server.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")


async def test_an_empty_file_is_a_file(server: httpx.AsyncClient, run: TellingRun, node: Path) -> None:
    answer = await server.get(await leave(run, node / "empty", b""))
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_file_of_the_run_s_own_directory_is_given(
    server: httpx.AsyncClient, run: TellingRun, node: Path
) -> None:
    path = await leave(run, node.parent / "runs" / str(run.id) / "1" / "out.log", b"hello\n")
    assert (await server.get(path)).content == b"hello\n"


async def test_what_is_not_there_as_recorded_is_said_so(http: httpx.AsyncClient, run: TellingRun, node: Path) -> None:
    await run.leave("checkpoint-5", "checkpoint", str(node / "checkpoint-5"), size=7, files=2)
    directory = f"{run.path}/artifacts/{uuid5(run.id, str(node / 'checkpoint-5'))}/content"
    grown, gone, linked = node / "grown", node / "gone", node / "linked"
    cases = [(directory, 409, "artifact_is_directory")]
    cases.append((await leave(run, grown, b"abc"), 409, "artifact_changed"))
    grown.write_bytes(b"abcd")
    cases.append((await leave(run, gone, b"abc"), 404, "artifact_missing"))
    gone.unlink()
    cases.append((await leave(run, linked, b"abc"), 409, "artifact_unreadable"))
    linked.unlink()
    linked.symlink_to("/etc/passwd")
    outside = node.parent / "outside"
    cases.append((await leave(run, outside, b"abc"), 409, "artifact_unreadable"))
    other = node.parent / "runs" / str(uuid4()) / "out.log"
    cases.append((await leave(run, other, b"abc"), 409, "artifact_unreadable"))
    pipe = node / "pipe"
    cases.append((await leave(run, pipe, b"abc"), 409, "artifact_unreadable"))
    pipe.unlink()
    os.mkfifo(pipe)
    cases.append((f"{run.path}/artifacts/{uuid4()}/content", 404, "artifact_not_found"))
    for path, status, code in cases:
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_file_of_another_content_never_passes_for_the_recorded(
    server: httpx.AsyncClient, run: TellingRun, node: Path
) -> None:
    file = node / "weights.bin"
    content = os.urandom(700_000)
    path = await leave(run, file, content)
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    async with server.stream("GET", path) as answer:
        assert answer.status_code == 200
        pieces = answer.aiter_bytes()
        got = await anext(pieces)
        with pytest.raises(httpx.RemoteProtocolError):
            got += b"".join([piece async for piece in pieces])
    assert len(got) < len(content)
    assert (await server.get("/healthz")).status_code == 200


async def test_a_node_that_is_away_is_said_so(http: httpx.AsyncClient, run: TellingRun, tmp_path: Path) -> None:
    answer = await http.get(await leave(run, tmp_path / "file", b"abc"))
    assert (answer.status_code, answer.json()["code"]) == (503, "node_unreachable")
    assert NODE in answer.json()["detail"]


async def test_a_client_that_hangs_up_leaves_nothing_behind(
    server: httpx.AsyncClient, run: TellingRun, node: Path
) -> None:
    path = await leave(run, node / "large", bytes(20_000_000))
    before = len(asyncio.all_tasks())
    async with server.stream("GET", path) as answer:
        await anext(answer.aiter_bytes())

    async def gone() -> bool:
        return len(asyncio.all_tasks()) <= before + 1  # the connection's own may stay a while

    await eventually(gone)


def test_a_name_cannot_break_its_header() -> None:
    header = disposition('a"b\r\nX: y;模型.bin')
    assert header.isascii()
    assert "\r" not in header
    assert header == (
        "attachment; filename=\"a_b__X: y___.bin\"; filename*=UTF-8''a%22b%0D%0AX%3A%20y%3B%E6%A8%A1%E5%9E%8B.bin"
    )
