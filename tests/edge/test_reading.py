"""Read your writes, positions, the past, pages."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import msgspec
import pytest

from contracts.problems import Refused
from events.log.streams import ledger_id
from projections.database import open_database
from projections.ownership import rebuild
from services.projector.service import project
from services.runtime.reads import Reads
from services.runtime.settings import Settings
from tests.edge.conftest import QWEN, World, client_of, made
from tests.nats_server import NatsServer


async def test_a_get_after_a_2xx_sees_it(http: httpx.AsyncClient) -> None:
    for number in range(20):
        created = await http.post("/projects", json=QWEN | {"name": f"p{number}"})
        seen = await http.get(f"/projects/p{number}")
        assert seen.json() == created.json()
        assert int(seen.headers["event-position"]) >= int(created.headers["event-position"])
        assert "projection-lag" not in created.headers


async def test_concurrent_commands_are_all_seen(http: httpx.AsyncClient) -> None:
    names = [f"p{number}" for number in range(40)]
    created = await asyncio.gather(*(http.post("/projects", json=QWEN | {"name": name}) for name in names))
    assert {answer.status_code for answer in created} == {201}
    assert {project["name"] for project in (await http.get("/projects")).json()} == set(names)


async def test_an_answer_says_when_reads_do_not_show_it_yet(nats_server: NatsServer, settings: Settings) -> None:
    settings = msgspec.structs.replace(settings, projection_wait_seconds=0.2)
    async with made(nats_server.url, settings) as world, client_of(world) as http:
        await _ask_without_projector(http, world)


async def _ask_without_projector(http: httpx.AsyncClient, world: World) -> None:
    world.projector.cancel()
    await asyncio.gather(world.projector, return_exceptions=True)
    created = await http.post("/projects", json=QWEN)
    assert created.status_code == 201
    assert int(created.headers["projection-lag"]) >= 1
    assert created.json()["name"] == "qwen-finetune"
    position = created.headers["event-position"]
    late = await http.get("/projects", headers={"Min-Event-Position": position, "Accept-Language": "en"})
    assert (late.status_code, late.json()["code"]) == (503, "position_not_reached")
    assert position in late.json()["detail"]
    assert late.headers["retry-after"]
    unready = await http.get("/readyz", headers={"Accept-Language": "en"})
    assert (unready.status_code, unready.json()["code"]) == (503, "not_ready")
    assert unready.json()["errors"][0]["pointer"] == "/projector"


async def test_nothing_false_is_read_while_the_tables_are_rebuilt(
    nats_server: NatsServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runtime.reads._MOMENT", 0.1)
    settings = msgspec.structs.replace(settings, projection_wait_seconds=0.2)
    async with made(nats_server.url, settings) as world, client_of(world) as http:
        await http.post("/projects", json=QWEN)
        shown = await http.get("/projects/qwen-finetune")
        world.projector.cancel()
        await asyncio.gather(world.projector, return_exceptions=True)
        await asyncio.to_thread(rebuild, world.database, str(await ledger_id(world.nc.jetstream())))
        for path in ("/projects", "/projects/qwen-finetune", "/projects?as_of=1", "/projects/qwen-finetune/runs"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "position_not_reached"), path
            assert answer.headers["retry-after"]
        unready = await http.get("/readyz")
        assert [wrong["pointer"] for wrong in unready.json()["errors"]] == ["/projector"]
        revised = await http.patch("/projects/qwen-finetune", json={"description": "meanwhile"})
        assert (revised.status_code, revised.json()["description"]) == (200, "meanwhile")
        assert int(revised.headers["projection-lag"]) >= 1
        monkeypatch.setattr("services.runtime.reads._MOMENT", 60.0)  # what takes but a moment is waited for
        asked = asyncio.create_task(http.get("/projects/qwen-finetune"))
        projector = asyncio.create_task(project(world.nc, world.database))
        try:
            again = await asked
            assert again.status_code == 200
            assert again.json()["id"] == shown.json()["id"]
        finally:
            projector.cancel()
            await asyncio.gather(projector, return_exceptions=True)


async def test_a_database_that_says_nothing_is_not_waited_for_any_longer() -> None:
    """As behind a broken network, or on a machine that is frozen."""
    back = threading.Event()

    class Silent:
        @contextmanager
        def reading(self) -> Iterator[Any]:
            back.wait()
            yield None

    reads = Reads(cast("Any", Silent()), cast("Any", None), lambda _: None, patience=0.2)
    begun = asyncio.get_running_loop().time()
    try:
        assert not await reads.passed(1, 0.1)
        with pytest.raises(Refused) as refused:
            await reads.ask(lambda _: None)
        assert refused.value.code == "database_unavailable"
        assert asyncio.get_running_loop().time() - begun < 5
    finally:
        back.set()
        await reads.stop()


async def test_tables_that_are_not_made_yet_are_one_line_without_sql(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = open_database(f"sqlite:///{tmp_path}/new.db")
    reads = Reads(database, cast("Any", None), lambda _: None)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            with pytest.raises(Refused):
                await reads.ask(lambda _: None)
    await reads.stop()
    database.close()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "the read models are not there yet (no such table: projection_state)")
    ]


async def test_any_edge_shows_a_position(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    position = (await http.get("/projects/qwen-finetune")).headers["event-position"]
    seen = await http.get("/projects", headers={"Min-Event-Position": position})
    assert [project["name"] for project in seen.json()] == ["qwen-finetune"]


async def test_the_position_is_looked_up_when_no_message_comes(http: httpx.AsyncClient, world: World) -> None:
    subscription = world.parts.edge.reads._subscription
    assert subscription is not None
    world.parts.edge.reads._subscription = None
    await subscription.unsubscribe()  # as if the connection were away whenever the projector speaks
    created = await http.post("/projects", json=QWEN)
    assert "projection-lag" not in created.headers
    assert (await http.get("/projects/qwen-finetune")).json() == created.json()


async def test_the_past_by_position(http: httpx.AsyncClient) -> None:
    created = await http.post("/projects", json=QWEN)
    before = created.headers["event-position"]
    revised = await http.patch("/projects/qwen-finetune", json={"owner": "bob", "tags": []})
    assert (revised.json()["owner"], revised.json()["tags"]) == ("bob", [])
    await http.post("/projects/qwen-finetune/runs")
    then = await http.get(f"/projects/qwen-finetune?as_of={before}")
    assert then.json() == created.json()
    assert then.headers["event-position"] == before
    assert (await http.get(f"/projects/qwen-finetune/runs?as_of={before}")).json() == []
    assert (await http.get(f"/projects?as_of={before}")).json()[0]["runs_started"] == 0
    assert (await http.get("/projects/qwen-finetune?as_of=0")).status_code == 404
    assert (await http.get("/projects?as_of=0")).json() == []


async def test_a_run_in_the_past(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    run = (await http.post("/projects/qwen-finetune/runs")).json()
    address = f"/projects/qwen-finetune/runs/{run['id']}"
    position = (await http.get(address)).headers["event-position"]
    await http.post(address + "/cancel")
    assert (await http.get(address)).json()["status"] == "canceled"
    assert (await http.get(f"{address}?as_of={position}")).json()["status"] == "running"


async def test_the_past_by_time(http: httpx.AsyncClient, world: World) -> None:
    created = await http.post("/projects", json=QWEN)
    stored = await world.parts.log.stored_at(int(created.headers["event-position"]))
    assert stored is not None
    await http.patch("/projects/qwen-finetune", json={"description": "later"})
    shanghai = stored.astimezone(tz=datetime.strptime("+0800", "%z").tzinfo).isoformat()
    for spelling in (
        stored.isoformat(),  # its + arrives as a space
        quote(stored.isoformat()),
        stored.replace(tzinfo=None).isoformat(),  # UTC
        stored.replace(tzinfo=None).isoformat() + "Z",
        stored.replace(tzinfo=None).isoformat().lower() + "z",
        shanghai,
        quote(shanghai),
    ):
        then = await http.get(f"/projects/qwen-finetune?as_of={spelling}")
        assert then.status_code == 200, (spelling, then.text)
        assert then.json() == created.json()
    earlier = (stored - timedelta(microseconds=1)).isoformat()
    assert (await http.get(f"/projects/qwen-finetune?as_of={quote(earlier)}")).status_code == 404
    assert (await http.get("/projects?as_of=1900-01-01")).json() == []
    assert (await http.get(f"/projects?as_of={quote(datetime.now(UTC).isoformat())}")).status_code == 200


async def test_pages(http: httpx.AsyncClient) -> None:
    names = [f"p{number}" for number in range(5)]
    for name in names:
        await http.post("/projects", json=QWEN | {"name": name})
    assert [project["name"] for project in (await http.get("/projects")).json()] == names
    found: list[str] = []
    url = "/projects?limit=2"
    pages = 0
    while url:
        page = await http.get(url)
        found += [project["name"] for project in page.json()]
        url = page.links["next"]["url"] if "next" in page.links else ""
        pages += 1
    assert (found, pages) == (names, 3)


async def test_what_a_patch_leaves_out_stays(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    revised = (await http.patch("/projects/qwen-finetune", json={"description": None})).json()
    assert revised["description"] is None
    assert {name: revised[name] for name in ("owner", "tags", "dataset_name")} == {
        name: qwen[name] for name in ("owner", "tags", "dataset_name")
    }
    unchanged = await http.patch("/projects/qwen-finetune", json={})
    assert unchanged.status_code == 200
    assert unchanged.json() == revised


NAMES = (
    "100% 微调 🚀", "a b", "a+b", "a?b#c", "a;b=c&d", "..a", "%2F", "é", "项目", "a\\b", "runs", "名" * 200, "A", "a",
)  # fmt: skip
NO_NAMES = (
    "", "a/b", ".", "..", "a\nb", "a\x7f", "\u2028", " a", "a ", "n" * 201, "6f8c7d52-33c4-4d76-9371-5dfd5fcd521a",
    "{6f8c7d5233c44d7693715dfd5fcd521a}",
)  # fmt: skip


async def test_names_address_their_project(http: httpx.AsyncClient) -> None:
    for name in NAMES:
        created = await http.post("/projects", json=QWEN | {"name": name})
        assert created.status_code == 201, created.text
        address = "/projects/" + quote(name, safe="")
        assert (await http.get(address)).json() == created.json()
        assert (await http.post(address + "/runs")).status_code == 201
        assert len((await http.get(f"/projects/{created.json()['id']}/runs")).json()) == 1


async def test_a_name_is_the_same_however_its_accents_are_written(http: httpx.AsyncClient) -> None:
    created = await http.post("/projects", json=QWEN | {"name": "e\u0301"})
    assert created.json()["name"] == "é"
    assert (await http.get("/projects/" + quote("e\u0301"))).json() == created.json()
    assert (await http.post("/projects", json=QWEN | {"name": "é"})).status_code == 409


async def test_names_that_no_path_can_address(http: httpx.AsyncClient) -> None:
    for name in NO_NAMES:
        answer = await http.post("/projects", json=QWEN | {"name": name})
        assert answer.status_code == 422, name
        assert answer.json()["errors"][0]["pointer"] == "/name"
