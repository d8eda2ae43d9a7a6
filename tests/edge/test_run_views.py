"""A run's metrics, and why it came as it did."""

from __future__ import annotations

from math import sin
from typing import Any

import httpx
import pytest

from tests.edge.conftest import World
from tests.edge.telling import TellingRun, telling


@pytest.fixture
async def run(world: World, http: httpx.AsyncClient, qwen: dict[str, object]) -> TellingRun:
    return await telling(world, http)


async def points(http: httpx.AsyncClient, run: TellingRun, **query: Any) -> list[tuple[str, int, float]]:
    answer = await http.get(run.path + "/metrics", params=query)
    assert answer.status_code == 200, answer.text
    return [(point["name"], point["step"], point["value"]) for point in answer.json()["points"]]


async def test_every_point_is_kept_with_its_step(http: httpx.AsyncClient, run: TellingRun) -> None:
    await run.say("a", loss=3.0, lr=0.1)
    await run.say("b", loss=2.0)
    await run.say("c", loss=1.0)
    await run.shown()
    body = (await http.get(run.path + "/metrics")).json()
    assert (body["run_id"], body["total"]) == (str(run.id), 4)
    assert body["points"][0] == {
        "name": "loss",
        "step": 0,
        "value": 3.0,
        "timestamp": "2023-11-14T22:13:20.000000",
        "attempt": 1,
        "byte_offset": 0,
        "source": "output",
    }
    assert await points(http, run, name="loss", from_step=1) == [("loss", 1, 2.0), ("loss", 2, 1.0)]
    assert await points(http, run, name="nothing") == []


async def test_pages_of_points_follow_each_other(http: httpx.AsyncClient, run: TellingRun) -> None:
    for number in range(5):
        await run.say(f"{number}", loss=float(number), lr=0.5)
    await run.shown()
    whole = await points(http, run)
    assert len(whole) == 10
    got, path = [], f"{run.path}/metrics?limit=3"
    for _ in range(4):
        answer = await http.get(path)
        assert answer.json()["total"] == 10
        got += [(point["name"], point["step"], point["value"]) for point in answer.json()["points"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert (got, path) == (whole, "")


async def test_a_long_series_is_thinned_and_keeps_its_ends_and_extremes(
    http: httpx.AsyncClient, run: TellingRun
) -> None:
    values = [sin(number / 30) for number in range(400)]
    values[123], values[321] = 9.0, -9.0
    for value in values:
        await run.say("x", loss=value)
    await run.say("y", rare=1.0)
    await run.shown()
    thinned = await points(http, run, max_points=40)
    losses = [(step, value) for name, step, value in thinned if name == "loss"]
    assert len(losses) <= 40
    assert losses == sorted(losses)
    assert losses[0] == (0, values[0])
    assert losses[-1] == (399, values[399])
    assert {(123, 9.0), (321, -9.0)} <= set(losses)
    assert set(losses) <= set(enumerate(values))
    assert ("rare", 400, 1.0) in thinned
    assert len(await points(http, run, name="loss", max_points=400)) == 400
    assert len(await points(http, run, name="loss", max_points=4)) == 4


@pytest.mark.parametrize(
    "query", ["limit=0", "max_points=3", "max_points=10&limit=5", "from_step=x", "cursor=x", "cursor=WzEsMl0", "name="]
)
async def test_what_cannot_be_meant_is_refused(http: httpx.AsyncClient, run: TellingRun, query: str) -> None:
    answer = await http.get(f"{run.path}/metrics?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter"), answer.text


async def test_a_run_is_explained_from_who_asked_to_its_end(
    http: httpx.AsyncClient, run: TellingRun, world: World
) -> None:
    await run.leave("checkpoint-5", "checkpoint", "/d/checkpoint-5", size=7)
    begun = await world.parts.log.last_position()
    await http.post(run.path + "/cancel", headers={"X-Actor": "bob"})
    answer = await http.get(run.path + "/explain", headers={"Accept-Language": "en"})
    assert answer.headers["content-language"] == "en"
    body = answer.json()
    assert (body["run_id"], body["status"]) == (str(run.id), "canceled")
    assert body["why"] == "as bob had asked, nothing of the training is left alive; the run is canceled"
    told = [(step["kind"], step["fact"], step["name"]) for step in body["chain"]]
    assert told == [
        ("asked", "RunRequested", "local"),
        ("decided", "RunAssigned", "the training service"),
        ("observed", "RunStarted", "the training service"),
        ("observed", "RunArtifactRecorded", "the training service"),
        ("asked", "RunCancelRequested", "bob"),
        ("observed", "RunCanceled", "the training service"),
    ]
    first = body["chain"][0]
    assert first["sentence"].startswith("local asked for a training: bash run_train_full_sft.sh configs/qwen_demo.yaml")
    assert {"position", "time", "actor", "command_id", "correlation_id", "causation_id"} <= first.keys()
    positions = [step["position"] for step in body["chain"]]
    assert positions == sorted(positions)
    chinese = (await http.get(run.path + "/explain")).json()
    assert chinese["why"] == "应 bob 的请求，训练的全部进程已停止；训练已取消"
    past = (await http.get(run.path + "/explain", params={"as_of": begun})).json()
    assert (past["status"], past["why"], len(past["chain"])) == ("running", None, 4)
    missing = await http.get(f"/projects/other/runs/{run.id}/explain")
    assert missing.status_code == 404


async def test_a_completed_run_is_explained_with_all_that_it_printed(http: httpx.AsyncClient, run: TellingRun) -> None:
    await run.say("a")
    await run.end()
    body = (await http.get(run.path + "/explain")).json()
    assert body["why"] == "训练命令以退出码 0 结束，共输出 15 字节；训练已完成"


async def test_who_was_erased_is_no_longer_named(http: httpx.AsyncClient, run: TellingRun, world: World) -> None:
    await http.post(run.path + "/cancel", headers={"X-Actor": "bob"})
    await world.parts.people.erase("bob", world.nc.jetstream())
    body = (await http.get(run.path + "/explain")).json()
    asked = body["chain"][-2]
    assert (asked["fact"], asked["name"]) == ("RunCancelRequested", None)
    assert "bob" not in str(body)
