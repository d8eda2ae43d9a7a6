"""The log of a run: any part of it, whole, and live."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from contracts.runs import ReportStopUnconfirmed
from services.edge.log_stream import Chunk
from services.edge.main import listen, serve
from services.runtime.settings import Settings
from tests.edge.conftest import World, eventually
from tests.edge.telling import TellingRun, telling
from tests.edge.test_server import listening

ASSETS = "已确认训练资源数据集 datasets/qwen_demo.jsonl，配置 configs/qwen_demo.yaml"
COMMAND = "已执行训练命令：bash run_train_full_sft.sh configs/qwen_demo.yaml"
NOTES = [ASSETS, COMMAND]
PAGE = ["run_id", "total", "page", "page_size", "entries"]


@pytest.fixture
async def run(world: World, http: httpx.AsyncClient, qwen: dict[str, object]) -> TellingRun:
    return await telling(world, http)


async def messages(http: httpx.AsyncClient, run: TellingRun, **query: Any) -> list[str]:
    answer = await http.get(run.path + "/logs", params=query)
    assert answer.status_code == 200, answer.text
    return [entry["message"] for entry in answer.json()["entries"]]


async def twenty(run: TellingRun) -> list[str]:
    """Twenty lines in batches of one to five; returns the whole log."""
    lines = [f"line {number:02}" for number in range(20)]
    start = 0
    for size in (1, 5, 3, 1, 4, 5, 1):
        await run.say(*lines[start : start + size])
        start += size
    await run.end()
    return [*NOTES, *lines, "训练已完成"]


async def test_pages_are_those_of_earlier_clients(http: httpx.AsyncClient, run: TellingRun) -> None:
    whole = await twenty(run)
    answer = await http.get(run.path + "/logs", params={"page": 2, "page_size": 7})
    body = answer.json()
    assert list(body) == PAGE
    assert (body["run_id"], body["total"], body["page"], body["page_size"]) == (str(run.id), 23, 2, 7)
    assert [entry["message"] for entry in body["entries"]] == whole[7:14]
    assert body["entries"][0] == {
        "timestamp": "2023-11-14T22:13:25.000000",
        "level": "INFO",
        "message": "line 05",
        "offset": 7,
        "stream": "stdout",
        "attempt": 1,
        "byte_offset": 50,
    }
    assert "Event-Position" in answer.headers
    first = (await http.get(run.path + "/logs")).json()
    assert (first["page"], first["page_size"]) == (1, 100)
    assert [entry["message"] for entry in first["entries"]] == whole
    assert (first["entries"][0]["stream"], first["entries"][0]["byte_offset"]) == ("ledger", None)
    assert await messages(http, run, page=5, page_size=7) == []


async def test_every_slice_is_a_slice_of_the_whole(http: httpx.AsyncClient, run: TellingRun) -> None:
    whole = await twenty(run)
    for offset in range(0, 25, 3):
        for limit in (1, 2, 7, 30):
            assert await messages(http, run, offset=offset, limit=limit) == whole[offset : offset + limit]
    for tail in (1, 2, 5, 21, 22, 23, 24):
        answer = (await http.get(run.path + "/logs", params={"tail": tail})).json()
        assert [entry["message"] for entry in answer["entries"]] == whole[-tail:]
        assert answer["offset"] == max(23 - tail, 0) == answer["entries"][0]["offset"]


async def test_entries_are_chosen_by_level_text_and_time(http: httpx.AsyncClient, run: TellingRun) -> None:
    await run.say("loss 50%", "LOSS 50_", level="WARNING")
    await run.say("a\\b 100", "Error 50%", level="ERROR")
    await run.shown()
    assert await messages(http, run, level="ERROR") == ["a\\b 100", "Error 50%"]
    assert await messages(http, run, q="50%") == ["loss 50%", "Error 50%"]
    assert await messages(http, run, q="Loss") == ["loss 50%", "LOSS 50_"]
    assert await messages(http, run, q="50_", limit=1) == ["LOSS 50_"]
    assert await messages(http, run, q="\\B") == ["a\\b 100"]
    assert await messages(http, run, q="训练命令") == [COMMAND]
    assert await messages(http, run, q="0", level="WARNING", tail=1) == ["LOSS 50_"]
    assert await messages(http, run, q="nothing") == []
    first, last = "2023-11-14T22:13:21", "2023-11-14T22:13:22.000000"
    assert await messages(http, run, start_time=first, end_time=last) == ["LOSS 50_", "a\\b 100"]
    zoned = {"start_time": "2023-11-15T06:13:21+08:00", "end_time": "2023-11-14T22:13:22Z"}
    assert await messages(http, run, **zoned) == ["LOSS 50_", "a\\b 100"]
    answer = await http.get(run.path + "/logs", params={"end_time": last, "page_size": 1})
    assert (answer.json()["total"], len(answer.json()["entries"])) == (3, 1)


@pytest.mark.parametrize(
    "query",
    [
        "page=1&offset=1",
        "tail=1&page_size=5",
        "tail=1&limit=5",
        "page=0",
        "page_size=501",
        "offset=-1",
        "limit=0",
        "tail=1001",
        "level=LOUD",
        "q=",
        "start_time=yesterday",
        "start_time=2024-01-02&end_time=2024-01-01",
        "colour=red",
    ],
)
async def test_what_cannot_be_meant_is_refused(http: httpx.AsyncClient, run: TellingRun, query: str) -> None:
    answer = await http.get(f"{run.path}/logs?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), answer.text


async def test_a_run_is_found_only_in_its_project(http: httpx.AsyncClient, run: TellingRun) -> None:
    for path, code in [
        (f"/projects/other/runs/{run.id}", "project_not_found"),
        ("/projects/qwen-finetune/runs/nonsense", "run_not_found"),
        (f"/projects/qwen-finetune/runs/{'0' * 32}", "run_not_found"),
    ]:
        for accept in ("application/json", "text/plain", "text/event-stream"):
            answer = await http.get(path + "/logs", headers={"Accept": accept})
            assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_the_past_has_the_log_it_had(http: httpx.AsyncClient, run: TellingRun, world: World) -> None:
    await run.say("then")
    await run.shown()
    position = await world.parts.log.last_position()
    await run.say("now")
    await run.end()
    assert await messages(http, run) == [*NOTES, "then", "now", "训练已完成"]
    assert await messages(http, run, as_of=position) == NOTES  # output is cut by when that fact was stored
    text = await http.get(run.path + "/logs", params={"as_of": position}, headers={"Accept": "text/plain"})
    assert [line.split(" ", 2)[2] for line in text.text.splitlines()] == NOTES


async def test_the_whole_log_is_text(http: httpx.AsyncClient, run: TellingRun) -> None:
    lines = [f"行 {number}" for number in range(2_500)]  # more than one transaction reads
    for first in range(0, 2_500, 500):
        await run.say(*lines[first : first + 500])
    await run.say("failed", level="ERROR")
    await run.end(exit_code=3)
    answer = await http.get(run.path + "/logs", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    got = answer.text.splitlines()
    assert [line.split(" ", 2)[2] for line in got[2:-2]] == lines
    assert got[2] == "2023-11-14T22:13:20.000000 INFO 行 0"
    assert got[-1].endswith(" ERROR 训练失败：exit code 3")
    chosen = await http.get(
        run.path + "/logs", params={"level": "ERROR", "tail": 2}, headers={"Accept": "text/plain, */*;q=0.1"}
    )
    assert [line.split(" ", 2)[2] for line in chosen.text.splitlines()] == ["failed", "训练失败：exit code 3"]
    refused = await http.get(run.path + "/logs", params={"page": 1}, headers={"Accept": "text/plain"})
    assert refused.status_code == 400
    head = await http.head(run.path + "/logs", headers={"Accept": "text/plain"})
    assert (head.status_code, head.text) == (200, "")


# Live, over a real connection: an in-process client would wait for the end of the stream.


class Events:
    """The events of a stream, one after the other."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str]:
        event: dict[str, str] = {}
        async with asyncio.timeout(60):
            async for line in self._lines:
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                elif "data" in event:
                    return event
        raise EOFError

    async def message(self) -> str:
        text: str = json.loads((await self.next())["data"])["message"]
        return text


@pytest.fixture
async def server(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with listening(world.app) as url, httpx.AsyncClient(base_url=url, timeout=90) as client:
        yield client


@asynccontextmanager
async def following(server: httpx.AsyncClient, run: TellingRun, last: str | None = None, **query: Any) -> Any:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    async with server.stream("GET", run.path + "/logs", params=query, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


async def test_lines_come_as_they_are_printed_until_the_end(server: httpx.AsyncClient, run: TellingRun) -> None:
    async with following(server, run) as events:
        assert [await events.message() for _ in NOTES] == NOTES
        delays = []
        for number in range(5):
            said = time.monotonic()
            await run.say(f"line {number}")
            event = await events.next()
            delays.append(time.monotonic() - said)
            assert event["id"] == f"1-1-{10 * number}"
            assert json.loads(event["data"]) == {
                "timestamp": f"2023-11-14T22:13:2{number}.000000",
                "level": "INFO",
                "message": f"line {number}",
                "stream": "stdout",
                "attempt": 1,
                "byte_offset": 10 * number,
            }
        assert sorted(delays)[2] < 0.5
        await run.end()
        assert await events.message() == "训练已完成"
        assert await events.next() == {"id": "end", "event": "end", "data": '{"status":"completed"}'}
        with pytest.raises(EOFError):
            await events.next()
    again = await server.get(run.path + "/logs", headers={"Accept": "text/event-stream", "Last-Event-ID": "end"})
    assert again.status_code == 204


async def test_what_does_not_stop_is_shown_when_it_happens_and_stands_at_the_end(
    server: httpx.AsyncClient, run: TellingRun, world: World
) -> None:
    async with following(server, run) as events:
        assert [await events.message() for _ in NOTES] == NOTES
        await world.training.report(ReportStopUnconfirmed(run_id=run.id, attempt=1, pids=(7, 8)))
        notice = await events.next()
        assert (notice["event"], notice.get("id")) == ("notice", None)
        said = json.loads(notice["data"])
        assert (said["level"], said["stream"]) == ("ERROR", "ledger")
        await run.say("line 0")
        assert await events.message() == "line 0"
        await run.end()
        assert [await events.message() for _ in range(2)] == [said["message"], "训练已完成"]


async def test_a_follower_goes_on_after_any_event_without_gap_or_repeat(
    server: httpx.AsyncClient, run: TellingRun
) -> None:
    whole = await twenty(run)
    last, got = None, []
    while True:
        async with following(server, run, last) as events:
            for _ in range(3):  # and hangs up
                event = await events.next()
                last = event["id"]
                if last == "end":
                    break
                got.append(json.loads(event["data"])["message"])
        if last == "end":
            break
    assert got == whole


async def test_a_follower_chooses_and_begins_where_it_likes(server: httpx.AsyncClient, run: TellingRun) -> None:
    await run.say("a", "b", "c")
    await run.say("bad", level="ERROR")
    await run.shown()
    async with following(server, run, level="ERROR") as errors, following(server, run, tail=2) as newest:
        assert await errors.message() == "bad"
        assert [await newest.message() for _ in range(2)] == ["c", "bad"]
        await run.say("fine")
        await run.say("worse", level="ERROR")
        assert [await newest.message() for _ in range(2)] == ["fine", "worse"]
        assert await errors.message() == "worse"


async def test_who_goes_away_leaves_nothing_behind(server: httpx.AsyncClient, run: TellingRun, world: World) -> None:
    live = world.parts.edge.live
    async with following(server, run) as one, following(server, run) as other:
        await one.message()
        await other.message()
        assert live.followed == 2
    await run.say("nobody hears it")

    async def gone() -> bool:
        return live.followed == 0

    await eventually(gone)


async def test_who_never_reads_costs_little_and_is_cut_off(
    world: World, http: httpx.AsyncClient, run: TellingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = world.parts.edge.reads.ask
    sent = 0

    async def counting(question: Any) -> Any:
        nonlocal sent
        shown = await asked(question)
        sent += len(shown.answer.body) if isinstance(shown.answer, Chunk) else 0
        return shown

    monkeypatch.setattr(world.parts.edge.reads, "ask", counting)
    listener = listen(replace(Settings(), host="127.0.0.1", port=0))
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 300_000
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2_000)
    serving = asyncio.create_task(serve(world.app, listener, 5.0))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        request = f"GET {run.path}/logs HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        client.sendall(request.encode())
        line = "x" * 500
        for _ in range(100):
            await run.say(*[line] * 1_000)
        await run.shown()

        async def cut_off() -> bool:
            return world.parts.edge.live.followed == 0

        await eventually(cut_off)
        assert sent < 20_000_000  # of more than 60 million
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    listener.close()


async def test_streams_end_when_the_service_stops(server: httpx.AsyncClient, run: TellingRun, world: World) -> None:
    async with following(server, run) as events:
        assert await events.message() == ASSETS
        world.parts.edge.live.close()
        assert await events.message() == COMMAND
        with pytest.raises(EOFError):
            await events.next()


@pytest.mark.parametrize(
    ("query", "last"), [("as_of=1", None), ("page=1", None), ("offset=1", None), ("", "7-1-1"), ("", "x")]
)
async def test_a_stream_that_cannot_be_is_refused(
    http: httpx.AsyncClient, run: TellingRun, query: str, last: str | None
) -> None:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    answer = await http.get(f"{run.path}/logs?{query}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), answer.text
