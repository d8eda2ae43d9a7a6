"""The documented examples, as they stand."""

from __future__ import annotations

import re
from uuid import UUID

import httpx

from tests.edge.conftest import QWEN, World

NAIVE_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


async def test_a_project_is_registered(http: httpx.AsyncClient) -> None:
    answer = await http.post("/projects", json=QWEN)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body | QWEN == body
    UUID(body["id"])
    assert NAIVE_MOMENT.fullmatch(body["created_at"])
    assert body["updated_at"] == body["created_at"]
    assert (body["status"], body["runs_started"], body["runs"]) == ("active", 0, [])


async def test_what_is_optional_may_be_left_out(http: httpx.AsyncClient) -> None:
    needed = {name: QWEN[name] for name in ("name", "owner", "dataset_name", "training_yaml_name")}
    body = (await http.post("/projects", json=needed)).json()
    assert (body["description"], body["tags"]) == (None, [])


async def test_fields_of_an_earlier_edition_are_kept(http: httpx.AsyncClient) -> None:
    await http.post("/projects", json=QWEN | {"objective": "客服", "task_type": "sft"})
    body = (await http.get("/projects/qwen-finetune")).json()
    assert (body["objective"], body["task_type"]) == ("客服", "sft")


async def test_the_list_is_an_array_without_runs(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    await http.post("/projects/qwen-finetune/runs")
    [listed] = (await http.get("/projects")).json()
    assert "runs" not in listed
    assert listed["runs_started"] == 1
    assert listed["id"] == qwen["id"]


async def test_a_run_is_started_by_name(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    answer = await http.post("/projects/qwen-finetune/runs")
    assert answer.status_code == 201, answer.text
    run = answer.json()
    assert answer.headers["location"] == f"/projects/qwen-finetune/runs/{run['id']}"
    assert run["project_id"] == qwen["id"]
    assert (run["status"], run["progress"], run["metrics"]) == ("running", 0.05, {})
    assert run["start_command"] == "bash run_train_full_sft.sh configs/qwen_demo.yaml"
    assert NAIVE_MOMENT.fullmatch(run["started_at"])
    assert (run["completed_at"], run["artifacts"], run["resume_source_artifact_id"]) == (None, [], None)
    assert [(entry["level"], entry["message"]) for entry in run["logs"]] == [
        ("INFO", "已确认训练资源数据集 datasets/qwen_demo.jsonl，配置 configs/qwen_demo.yaml"),
        ("INFO", "已执行训练命令：bash run_train_full_sft.sh configs/qwen_demo.yaml"),
    ]
    assert all(NAIVE_MOMENT.fullmatch(entry["timestamp"]) for entry in run["logs"])


async def test_a_run_is_started_by_id_and_found_again(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    run = (await http.post(f"/projects/{qwen['id']}/runs")).json()
    assert (await http.get(f"/projects/{qwen['id']}/runs/{run['id']}")).json() == run
    assert (await http.get("/projects/qwen-finetune/runs")).json() == [run]
    assert (await http.get("/projects/qwen-finetune")).json()["runs"] == [run]


async def test_missing_assets_are_each_named_and_nothing_is_run(
    http: httpx.AsyncClient, qwen: dict[str, object], world: World
) -> None:
    world.training.missing = {"datasets/qwen_demo.jsonl", "configs/qwen_demo.yaml"}
    answer = await http.post("/projects/qwen-finetune/runs")
    assert answer.status_code == 400
    assert "datasets/qwen_demo.jsonl" in answer.json()["detail"]
    assert "configs/qwen_demo.yaml" in answer.json()["detail"]
    assert (await http.get("/projects/qwen-finetune/runs")).json() == []
    assert world.training.launched == 0


async def test_a_failed_launch_answers_500_with_the_reason(
    http: httpx.AsyncClient, qwen: dict[str, object], world: World
) -> None:
    world.training.launch_error = "容器 qwen 未运行", "the container qwen does not run"
    answer = await http.post("/projects/qwen-finetune/runs", headers={"Idempotency-Key": "once"})
    assert answer.status_code == 500
    assert "容器 qwen 未运行" in answer.json()["detail"]
    [run] = (await http.get("/projects/qwen-finetune/runs")).json()
    assert run["status"] == "failed"
    assert run["logs"][-1]["level"] == "ERROR"
    assert answer.json()["aggregate_id"] == run["id"]
    in_english = {"Idempotency-Key": "once", "Accept-Language": "en"}
    again = (await http.post("/projects/qwen-finetune/runs", headers=in_english)).json()
    assert again["detail"] == "The training could not be launched: the container qwen does not run"
    assert again["aggregate_id"] == run["id"]
    why = (
        await http.get(f"/projects/qwen-finetune/runs/{run['id']}/explain", headers={"Accept-Language": "en"})
    ).json()
    assert why["why"] == "the training could not be launched: the container qwen does not run"


async def test_a_run_is_canceled(http: httpx.AsyncClient, qwen: dict[str, object]) -> None:
    run = (await http.post("/projects/qwen-finetune/runs")).json()
    answer = await http.post(f"/projects/qwen-finetune/runs/{run['id']}/cancel")
    assert answer.status_code == 200
    canceled = answer.json()
    assert canceled["status"] == "canceled"
    assert NAIVE_MOMENT.fullmatch(canceled["completed_at"])
    again = await http.post(f"/projects/qwen-finetune/runs/{run['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "run_ended")


async def test_it_lives(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


async def test_what_is_made_says_where_it_is(http: httpx.AsyncClient, world: World) -> None:
    made = await http.post("/projects", json=QWEN | {"name": "微调 100%"})
    assert (await http.get(made.headers["location"])).json() == made.json()
    headers = {"Prefer": "respond-async"}
    asked = await http.post("/projects/%E5%BE%AE%E8%B0%83%20100%25/runs", headers=headers)
    assert asked.status_code == 202
    assert (await http.get(asked.headers["location"])).json()["id"] == asked.json()["id"]


async def test_the_bare_address_leads_to_the_documentation(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/docs")


async def test_runs_come_by_pages_where_asked(http: httpx.AsyncClient) -> None:
    await http.post("/projects", json=QWEN | {"name": "许多 次"})
    address = "/projects/%E8%AE%B8%E5%A4%9A%20%E6%AC%A1/runs"
    made = [(await http.post(address)).json()["id"] for _ in range(5)]
    assert [run["id"] for run in (await http.get(address)).json()] == made
    pages, following = [], f"{address}?limit=2"
    while following:
        answer = await http.get(following)
        pages.append([run["id"] for run in answer.json()])
        following = answer.links.get("next", {}).get("url", "")
        if len(pages) == 1:
            made.append((await http.post(address)).json()["id"])
    assert pages == [made[:2], made[2:4], made[4:]]
    assert (await http.get(f"{address}?cursor=x")).json()["code"] == "invalid_parameter"
    assert (await http.get(f"{address}?limit=0")).status_code == 400
