"""De-identification of datasets over HTTP, with the service that does it at work."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pyarrow
import pytest
from msgspec.structs import replace
from nats.aio.msg import Msg
from pyarrow import parquet

from contracts import subjects
from contracts.deid import AssignDeidentification, JobProgress
from services.deid import main
from services.runtime.settings import Settings
from tests.edge.conftest import QWEN, World, eventually
from tests.edge.test_access import bearer, guarded, issue
from tests.edge.test_datasets import made, shown, uploaded
from tests.edge.test_policies import put as put_policy
from tests.edge.test_policies import yaml
from tests.nats_server import NatsServer

PHONE = "13812345678"
LINES = "".join(json.dumps({"text": f"电话{PHONE}", "id": n}, ensure_ascii=False) + "\n" for n in range(20)).encode()
ENDED = ("completed", "failed", "canceled")

Working = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def working(world: World, nats_server: NatsServer, settings: Settings) -> Working:
    """Jobs are worked on until the end of the block."""

    @asynccontextmanager
    async def work() -> AsyncIterator[None]:
        task = asyncio.create_task(main.run(replace(settings, nats_url=nats_server.url)))
        try:
            yield
        finally:
            task.cancel()
            [ended] = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended

    return work


async def requested(http: httpx.AsyncClient, dataset: str, policy: str = "default", **fields: Any) -> dict[str, Any]:
    answer = await http.post(f"/v1/datasets/{dataset}/deidentify", json={"policy_id": policy} | fields)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def job_of(http: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    answer = await http.get(f"/v1/deid/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def ended(http: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    async def over() -> bool:
        return (await job_of(http, job_id))["status"] in ENDED

    await eventually(over)
    return await job_of(http, job_id)


async def outputs(http: httpx.AsyncClient, dataset: str, number: int) -> dict[str, bytes]:
    version = (await http.get(f"/v1/datasets/{dataset}/versions/{number}")).json()
    found = {}
    for file in version["files"]:
        content = (await http.get(f"/v1/datasets/{dataset}/files/{file['upload_id']}/content")).content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        found[file["name"]] = content
    return found


def table() -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": [f"电话{PHONE}"] * 20, "id": list(range(20))}), buffer)
    return buffer.getvalue()


async def test_a_dataset_is_deidentified(http: httpx.AsyncClient, working: Working) -> None:
    dataset = await made(http)
    upload = await uploaded(http, dataset, LINES)
    job = await requested(http, dataset, fields=["text"], seed=42)
    assert (job["status"], job["progress"], job["policy_version"], job["seeded"]) == (
        "pending",
        0.0,
        "2024-01-01",
        True,
    )
    assert (job["dataset_id"], job["dataset_version"], job["fields"]) == (dataset, 1, ["text"])
    report = f"/v1/deid/jobs/{job['id']}/report"
    [early] = (await http.get(report)).json()["files"]
    assert (early["input_sha256"], early["output_sha256"]) == (hashlib.sha256(LINES).hexdigest(), None)
    async with working():
        done = await ended(http, job["id"])
    assert (done["status"], done["progress"], done["output_version"], done["records"]) == ("completed", 1.0, 2, 20)
    assert done["counts"] == {"NUMBER": 20}
    assert done["failure"] is None
    [(name, output)] = (await outputs(http, dataset, 2)).items()
    assert (name, PHONE.encode() in output) == ("train.jsonl", False)
    assert [json.loads(line)["id"] for line in output.splitlines()] == list(range(20))

    record = (await http.get(f"/v1/datasets/{dataset}")).json()
    assert (record["version"], record["uploads_version"], len(record["files"])) == (2, 1, 1)
    version = (await http.get(f"/v1/datasets/{dataset}/versions")).json()[1]
    assert (version["deidentified"], version["source"], version["job_id"]) == (True, 1, job["id"])
    assert (version["policy_id"], version["policy_version"]) == ("default", "2024-01-01")
    assert [file["upload_id"] for file in (await shown(http, dataset))["files"]] == [upload]  # the upload stays

    answer = await http.get(report)
    assert answer.headers["content-disposition"] == f'attachment; filename="deidentification-{job["id"]}.json"'
    said = answer.json()
    assert (said["job"], said["requested_by"], said["dataset_sha256"]) == (done, "local", said["dataset_sha256"])
    assert PHONE not in answer.text
    [file] = said["files"]
    assert (file["input_bytes"], file["output_bytes"], file["records"]) == (len(LINES), len(output), 20)
    assert file["output_sha256"] == hashlib.sha256(output).hexdigest()
    policy = (await http.get("/v1/deid/policies/default")).json()
    assert said["policy_sha256"] == policy["sha256"]

    before = (await http.get("/v1/deid/jobs", params={"as_of": 3})).json()
    assert [found["status"] for found in before] == ["pending"]
    assert (await http.get("/v1/deid/jobs", params={"dataset_id": dataset})).json() == [done]
    assert (await http.get("/v1/deid/jobs", params={"dataset_id": str(uuid4())})).json() == []


@pytest.mark.parametrize(
    ("name", "content", "records"),
    [
        ("a.csv", f'id,text\n1,电话{PHONE}\n2,"电话,{PHONE}"\n'.encode(), 2),
        ("a.tsv", f"id\ttext\n1\t电话{PHONE}\n".encode(), 1),
        ("a.json", json.dumps([{"text": f"电话{PHONE}"}] * 3).encode(), 3),
        ("lines.json", json.dumps({"text": f"电话{PHONE}"}).encode() + b'\n{"text": "none"}\n', 2),
        ("a.txt", f"电话{PHONE}\n另{PHONE}\n".encode(), 2),
        ("a.parquet", table(), 20),
    ],
)
async def test_every_format_is_deidentified(
    http: httpx.AsyncClient, working: Working, name: str, content: bytes, records: int
) -> None:
    dataset = await made(http)
    await uploaded(http, dataset, content, name)
    async with working():
        done = await ended(http, (await requested(http, dataset, "zh-pii"))["id"])
    assert (done["status"], done["records"], done["failure"]) == ("completed", records, None)
    assert set(done["counts"]) == {"CN_PHONE"}
    [output] = (await outputs(http, dataset, 2)).values()
    if name.endswith(".parquet"):
        read = parquet.read_table(io.BytesIO(output))
        assert read.column("id").to_pylist() == list(range(20))
        output = "".join(read.column("text").to_pylist()).encode()
    assert PHONE.encode() not in output
    assert "电话".encode() in output or b"\\u7535\\u8bdd" in output


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (400, "policy_unknown", {"policy_id": "none"}),
        (400, "policy_version_unknown", {"policy_id": "default", "policy_version": "1"}),
        (404, "dataset_version_not_found", {"policy_id": "default", "version": 9}),
        (422, "invalid_body", {}),
        (422, "invalid_body", {"policy_id": "default", "version": 0}),
        (422, "invalid_body", {"policy_id": "default", "fields": []}),
        (422, "invalid_body", {"policy_id": "default", "fields": "text"}),
        (422, "invalid_body", {"policy_id": "default", "fields": [""]}),
        (422, "invalid_body", {"policy_id": "default", "seed": -1}),
        (422, "invalid_body", {"policy_id": "default", "field": ["text"]}),
    ],
)
async def test_jobs_that_cannot_be(http: httpx.AsyncClient, status: int, code: str, body: dict[str, Any]) -> None:
    dataset = await made(http)
    await uploaded(http, dataset, LINES)
    answer = await http.post(f"/v1/datasets/{dataset}/deidentify", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await http.get("/v1/deid/jobs")).json() == []


async def test_datasets_and_jobs_that_are_not_there(http: httpx.AsyncClient) -> None:
    for dataset, code in ((str(uuid4()), "dataset_not_found"), ("none", "dataset_not_found")):
        answer = await http.post(f"/v1/datasets/{dataset}/deidentify", json={"policy_id": "default"})
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    empty = await made(http)
    answer = await http.post(f"/v1/datasets/{empty}/deidentify", json={"policy_id": "default"})
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_without_files")
    await uploaded(http, empty, LINES, "train.zip")
    answer = await http.post(f"/v1/datasets/{empty}/deidentify", json={"policy_id": "default"})
    assert (answer.status_code, answer.json()["code"]) == (409, "file_format_unknown")
    for job in (str(uuid4()), "none"):
        for answer in (
            await http.get(f"/v1/deid/jobs/{job}"),
            await http.get(f"/v1/deid/jobs/{job}/report"),
            await http.post(f"/v1/deid/jobs/{job}/cancel"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "deid_job_not_found")


async def test_a_job_that_waits_is_canceled(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    await uploaded(http, dataset, LINES)
    job = await requested(http, dataset)
    canceled = await http.post(f"/v1/deid/jobs/{job['id']}/cancel")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled"), canceled.text
    assert (await job_of(http, job["id"]))["completed_at"] is not None
    again = await http.post(f"/v1/deid/jobs/{job['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "deid_job_ended")


async def test_progress_is_what_the_service_at_work_says(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    await uploaded(http, dataset, LINES)
    job = (await requested(http, dataset))["id"]
    await world.training.report(AssignDeidentification(job_id=UUID(job), node="box"))

    async def running() -> bool:
        return bool((await job_of(http, job))["status"] == "running")

    await eventually(running)
    assert (await job_of(http, job))["progress"] is None  # nobody says

    async def answer(message: Msg) -> None:
        await message.respond(msgspec.json.encode(JobProgress(bytes_done=1, bytes_total=4)))

    await world.nc.subscribe(subjects.deid_progress(UUID(job)), cb=answer)
    assert (await job_of(http, job))["progress"] == 0.25
    [listed] = (await http.get("/v1/deid/jobs")).json()
    assert (listed["progress"], listed["node"]) == (0.25, "box")
    asked = (await http.post(f"/v1/deid/jobs/{job}/cancel")).json()
    assert (asked["status"], asked["cancel_requested"]) == ("running", True)


async def test_a_job_keeps_the_policy_that_it_was_asked_with(http: httpx.AsyncClient, working: Working) -> None:
    dataset = await made(http)
    await uploaded(http, dataset, LINES)
    await put_policy(http, yaml())
    job = await requested(http, dataset, "mine")
    await put_policy(http, yaml("2", action="redact"))
    assert (await http.delete("/v1/deid/policies/mine")).status_code == 200
    async with working():
        done = await ended(http, job["id"])
    assert (done["status"], done["policy_version"]) == ("completed", "1")
    [output] = (await outputs(http, dataset, 2)).values()
    assert json.loads(output.splitlines()[0])["text"] == "电话" + "*" * 11
    refused = await http.post(f"/v1/datasets/{dataset}/deidentify", json={"policy_id": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (400, "policy_unknown")


async def test_the_report_names_the_lines_that_were_left_out(http: httpx.AsyncClient, working: Working) -> None:
    dataset = await made(http)
    await uploaded(http, dataset, f'{{"text": "{PHONE}"}}\n{{"text": "{PHONE}\n{{"text": "none"}}\n'.encode(), "a.json")
    await put_policy(http, yaml() + "bad_lines: quarantine\n")
    async with working():
        done = await ended(http, (await requested(http, dataset, "mine"))["id"])
    assert (done["status"], done["records"], done["quarantined"]) == ("completed", 2, 1)
    assert (await http.get("/v1/deid/jobs")).json()[0] == done
    answer = await http.get(f"/v1/deid/jobs/{done['id']}/report")
    [file] = answer.json()["files"]
    assert (file["name"], file["quarantined"], file["quarantined_lines"]) == ("a.json", 1, [2])
    assert PHONE not in answer.text


@pytest.mark.parametrize("what", ["dataset", "file"])
async def test_a_job_of_what_was_deleted_fails(http: httpx.AsyncClient, working: Working, what: str) -> None:
    dataset = await made(http)
    upload = await uploaded(http, dataset, LINES)
    job = await requested(http, dataset)
    path = f"/v1/datasets/{dataset}" if what == "dataset" else f"/v1/uploads/{upload}"
    assert (await http.delete(path)).status_code == 200
    async with working():
        done = await ended(http, job["id"])
    assert (done["status"], done["failure"]["cause"]) == ("failed", "dataset")
    assert done["failure"]["reason"] != done["failure"]["reason_en"]


async def test_a_project_that_requires_it_trains_on_what_a_job_made(http: httpx.AsyncClient, working: Working) -> None:
    dataset = await made(http)
    await uploaded(http, dataset, LINES)
    project = QWEN | {"dataset_name": f"dataset:{dataset}", "require_deidentified": True}
    created = await http.post("/projects", json=project)
    assert created.status_code == 201, created.text
    assert created.json()["require_deidentified"] is True
    for language in ("zh", "en"):
        refused = await http.post("/projects/qwen-finetune/runs", headers={"Accept-Language": language})
        assert (refused.status_code, refused.json()["code"]) == (409, "raw_data_refused"), refused.text
    assert (await http.get("/projects/qwen-finetune")).json()["runs"] == []
    async with working():
        job = await ended(http, (await requested(http, dataset, "zh-pii"))["id"])
    assert job["status"] == "completed", job
    run = await http.post("/projects/qwen-finetune/runs")
    assert run.status_code == 201, run.text
    assert (run.json()["status"], run.json()["dataset_version"]) == ("running", 2)
    explained = await http.get(f"/projects/qwen-finetune/runs/{run.json()['id']}/explain")
    sentence = explained.json()["chain"][0]["sentence"]
    assert job["id"] in sentence
    assert f"zh-pii {job['policy_version']}" in sentence
    raw = QWEN | {"name": "raw", "dataset_name": f"dataset:{dataset}@1", "require_deidentified": True}
    assert (await http.post("/projects", json=raw)).status_code == 201
    assert (await http.post("/projects/raw/runs")).json()["code"] == "raw_data_refused"
    files = QWEN | {"name": "files", "require_deidentified": True}
    assert (await http.post("/projects", json=files)).status_code == 201
    assert (await http.post("/projects/files/runs")).json()["code"] == "raw_data_refused"


async def test_a_reader_starts_and_stops_no_job(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    await uploaded(http, dataset, LINES)
    job = await requested(http, dataset)
    await issue(world, "rita", "reader", "secret-reader")
    async with guarded(world) as other:
        reader = bearer("secret-reader")
        for path, body in (
            (f"/v1/datasets/{dataset}/deidentify", {"policy_id": "default"}),
            (f"/v1/deid/jobs/{job['id']}/cancel", None),
        ):
            answer = await other.post(path, json=body, headers=reader)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), answer.text
        assert (await other.get(f"/v1/deid/jobs/{job['id']}/report", headers=reader)).status_code == 200
