"""Datasets, as documented and beyond."""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.datasets import DeriveDatasetVersion, ExpireDatasetFiles, ReportFileChecked
from events.datasets import BadLine, DatasetFile
from events.event import Origin
from services.runtime.dispatch import Dispatch
from tests.edge.conftest import World, client_of, eventually
from tests.edge.test_access import bearer, issue

CHATGLM = {
    "name": "chatglm_pairs_v1",
    "type": "text2text",
    "description": "object-storage",
    "task_type": "sft",
    "metadata": {"language": "zh", "records": 1024},
}
ZULU = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CONTENT = '{"instruction": "你好", "output": "您好"}\n'.encode() * 1_000


async def made(http: httpx.AsyncClient, **fields: Any) -> str:
    answer = await http.post("/v1/datasets", json=CHATGLM | fields)
    assert answer.status_code == 200, answer.text
    identifier: str = answer.json()["id"]
    return identifier


async def put(
    http: httpx.AsyncClient, dataset: str, content: bytes = CONTENT, name: str = "train.jsonl", /, **headers: str
) -> httpx.Response:
    return await http.put(f"/v1/datasets/{dataset}/files", files={"file": (name, content)}, headers=headers)


async def uploaded(http: httpx.AsyncClient, dataset: str, content: bytes = CONTENT, name: str = "train.jsonl") -> str:
    answer = await put(http, dataset, content, name)
    assert answer.status_code == 200, answer.text
    identifier: str = answer.json()["upload_id"]
    return identifier


async def shown(http: httpx.AsyncClient, dataset: str, **query: str | int) -> dict[str, Any]:
    answer = await http.get(f"/v1/datasets/{dataset}", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def world_now(days: int = 0) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def bytes_of(world: World) -> list[str]:
    """Every file under the storage, finished or not."""
    root = world.parts.edge.uploads.storage.root
    return sorted(path.name for name in ("files", "incoming", "uploads") for path in (root / name).iterdir())


async def test_a_dataset_is_registered_as_documented(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/datasets", json=CHATGLM)
    assert answer.status_code == 200
    assert set(answer.json()) == {"id", "created_at"}
    assert ZULU.fullmatch(answer.json()["created_at"])
    body = await shown(http, answer.json()["id"])
    assert body | CHATGLM | answer.json() == body
    assert (body["status"], body["files"], body["train_config"]) == ("created", [], None)
    assert body["upload_progress"]["files_count"] == 0
    minimal = await http.post("/v1/datasets", json={"name": "only a name"})
    body = await shown(http, minimal.json()["id"])
    assert [body[field] for field in ("type", "description", "task_type", "metadata")] == [None] * 4


async def test_a_file_is_uploaded_as_documented(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    answer = await put(http, dataset)
    assert answer.status_code == 200
    upload = answer.json()
    assert upload | {"dataset_id": dataset, "bytes": len(CONTENT), "filename": "train.jsonl"} == upload
    body = await shown(http, dataset)
    [file] = body["files"]
    assert file["stored_name"] == f"{upload['upload_id']}_train.jsonl"
    assert (file["upload_id"], file["name"], file["bytes"]) == (upload["upload_id"], "train.jsonl", len(CONTENT))
    assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert ZULU.fullmatch(file["uploaded_at"])
    assert (body["status"], body["upload_progress"]) == ("ready", {"files_count": 1, "unfinished": []})
    assert bytes_of(world) == [file["stored_name"]]
    assert world.parts.edge.uploads.storage.path(file["stored_name"]).read_bytes() == CONTENT


async def test_an_upload_is_taken_back_as_documented(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    upload = await uploaded(http, dataset)
    answer = await http.delete(f"/v1/uploads/{upload}")
    assert (answer.status_code, answer.json()) == (200, {"upload_id": upload, "status": "aborted"})
    body = await shown(http, dataset)
    assert (body["status"], body["files"], body["upload_progress"]["files_count"]) == ("created", [], 0)
    assert bytes_of(world) == []
    again = await http.delete(f"/v1/uploads/{upload}")
    assert (again.status_code, again.json()["code"]) == (404, "upload_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/datasets/{id}"),
        ("DELETE", "/v1/datasets/{id}"),
        ("GET", "/v1/datasets/{id}/versions"),
        ("GET", "/v1/datasets/{id}/versions/1"),
        ("GET", "/v1/datasets/{id}/downloads"),
        ("GET", "/v1/datasets/{id}/files/{id}/content"),
        ("GET", "/v1/uploads/{id}"),
        ("DELETE", "/v1/uploads/{id}"),
    ],
)
async def test_what_is_not_there_is_not_found(http: httpx.AsyncClient, method: str, path: str) -> None:
    for identifier in (str(uuid4()), "no-uuid"):
        answer = await http.request(method, path.replace("{id}", identifier))
        assert answer.status_code == 404, answer.text


_SMALL = {"file": ("train.jsonl", b"{}\n")}


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"files": {"file": ("train.jsonl", b"")}}, 422, "file_empty"),
        ({"files": {"other": ("train.jsonl", b"{}")}}, 422, "invalid_body"),
        ({"files": [("file", ("a", b"{}")), ("file", ("b", b"{}"))]}, 422, "several_files"),
        ({"files": _SMALL, "data": {"more": "1"}}, 422, "invalid_body"),
        ({"files": {"file": (None, b"text")}}, 422, "file_missing"),
        ({"json": {"file": "x"}}, 415, "unsupported_media_type"),
        ({"content": b"{}"}, 415, "unsupported_media_type"),
        (
            {"content": b"--x--\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}},
            422,
            "file_missing",
        ),
        ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 422, "multipart_invalid"),
        ({"content": b"{}", "headers": {"content-type": "multipart/form-data"}}, 422, "multipart_invalid"),
        (
            {
                "content": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
                "headers": {"content-type": "multipart/form-data; boundary=x"},
            },
            422,
            "multipart_invalid",
        ),
        ({"files": {"file": ("../../etc/passwd", b"{}")}}, 422, "file_name_invalid"),
        ({"files": {"file": ("..", b"{}")}}, 422, "file_name_invalid"),
        ({"files": {"file": ("C:\\x\\y.txt", b"{}")}}, 422, "file_name_invalid"),
        ({"files": {"file": ("\\\\host\\share\\y.txt", b"{}")}}, 422, "file_name_invalid"),
        ({"files": {"file": ("a\nb", b"{}")}}, 422, "file_name_invalid"),
        ({"files": {"file": ("数" * 10_000, b"{}")}}, 422, "file_name_invalid"),
    ],
)
async def test_bad_uploads_are_refused_and_leave_nothing(
    http: httpx.AsyncClient, world: World, request_: dict[str, Any], status: int, code: str
) -> None:
    dataset = await made(http)
    answer = await http.put(f"/v1/datasets/{dataset}/files", **request_)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await shown(http, dataset))["files"] == []
    assert bytes_of(world) == []


async def test_an_upload_to_nowhere_is_refused(http: httpx.AsyncClient, world: World) -> None:
    answer = await put(http, str(uuid4()))
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")
    assert bytes_of(world) == []


@pytest.mark.parametrize("name", ["训练 数据.jsonl", "a&b;c$(x).jsonl", "x" * 251 + ".csv", 'quo"te.json', "%41.txt"])
async def test_names_are_shown_as_they_were(http: httpx.AsyncClient, world: World, name: str) -> None:
    dataset = await made(http)
    upload = await uploaded(http, dataset, name=name)
    [file] = (await shown(http, dataset))["files"]
    assert file["name"] == name
    assert bytes_of(world) == [file["stored_name"]]
    assert re.fullmatch(rf"{upload}_[\w.\-]+", file["stored_name"])
    download = await http.get(f"/v1/datasets/{dataset}/files/{upload}/content")
    assert download.content == CONTENT


async def test_older_clients_may_write_names_their_way(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; '
        b"filename*=utf-8''%E8%AE%AD%E7%BB%83.jsonl\r\n\r\n{}\r\n--x--\r\n"
    )
    headers = {"content-type": 'multipart/form-data; boundary="x"'}
    answer = await http.put(f"/v1/datasets/{dataset}/files", content=body, headers=headers)
    assert answer.json()["filename"] == "训练.jsonl"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": " padded "},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"unknown": 1},
        {"metadata": []},
        {"metadata": {"x": "y" * 70_000}},
        {"metadata": {"x": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}},
        {"retention_days": 0},
    ],
)
async def test_bad_datasets_are_refused(http: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    assert (await http.post("/v1/datasets", json=CHATGLM | fields)).status_code == 422
    assert (await http.get("/v1/datasets")).json() == []


async def test_fifty_uploads_at_once_all_appear_once(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    contents = {f"part-{number}.jsonl": CONTENT[: 1_000 + number] for number in range(50)}
    answers = await asyncio.gather(*(put(http, dataset, content, name) for name, content in contents.items()))
    assert [answer.status_code for answer in answers] == [200] * 50
    body = await shown(http, dataset)
    assert {file["name"]: file["bytes"] for file in body["files"]} == {
        name: len(content) for name, content in contents.items()
    }
    assert len(body["files"]) == body["version"] == body["uploads_version"] == 50
    assert bytes_of(world) == sorted(file["stored_name"] for file in body["files"])


async def test_the_same_key_is_the_same_upload(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    key = {"Idempotency-Key": "upload-1"}
    first, again = await put(http, dataset, **key), await put(http, dataset, **key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    both = await asyncio.gather(*(put(http, dataset, b"more", **{"Idempotency-Key": "upload-2"}) for _ in range(2)))
    assert both[0].json() == both[1].json()
    other = await put(http, dataset, b"other", **key)
    assert (other.status_code, other.json()["code"]) == (422, "command_id_reused")
    bad = await put(http, dataset, **{"Idempotency-Key": "\x7f"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_command_id")
    body = await shown(http, dataset)
    assert len(body["files"]) == 2
    assert bytes_of(world) == sorted(file["stored_name"] for file in body["files"])


async def test_lists_are_filtered_and_paged(http: httpx.AsyncClient) -> None:
    ids = [await made(http, name=f"Set {number}", task_type="dpo" if number % 2 else "sft") for number in range(5)]
    await uploaded(http, ids[0])
    await http.delete(f"/v1/datasets/{ids[4]}")

    async def found(**query: str) -> list[str]:
        return [one["id"] for one in (await http.get("/v1/datasets", params=query)).json()]

    assert await found() == ids[:4]
    assert await found(task_type="dpo") == [ids[1], ids[3]]
    assert await found(status="ready") == [ids[0]]
    assert await found(name="set 2") == [ids[2]]
    assert await found(name="%") == []
    page = await http.get("/v1/datasets", params={"limit": 1, "task_type": "dpo"})
    assert [one["id"] for one in page.json()] == [ids[1]]
    following = await http.get(page.links["next"]["url"])
    assert [one["id"] for one in following.json()] == [ids[3]]
    assert "next" not in following.links
    for query in ({"cursor": "x"}, {"status": "odd"}, {"limit": "0"}, {"nmae": "x"}):
        assert (await http.get("/v1/datasets", params=query)).status_code == 400


async def test_each_change_makes_a_version_that_stays(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    one = await uploaded(http, dataset, b"one\n", "one.txt")
    two = await uploaded(http, dataset, b"two\n", "two.txt")
    await http.delete(f"/v1/uploads/{one}")
    versions = (await http.get(f"/v1/datasets/{dataset}/versions")).json()
    assert [version["number"] for version in versions] == [1, 2, 3]
    lines = {
        name: f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in {"one.txt": b"one\n", "two.txt": b"two\n"}.items()
    }
    expected = [
        "".join(sorted(lines[name] for name in names)) for names in (["one.txt"], ["one.txt", "two.txt"], ["two.txt"])
    ]
    assert [version["sha256"] for version in versions] == [
        hashlib.sha256(text.encode()).hexdigest() for text in expected
    ]
    second = (await http.get(f"/v1/datasets/{dataset}/versions/2")).json()
    assert [(file["upload_id"], file["available"]) for file in second["files"]] == [(one, False), (two, True)]
    assert ZULU.fullmatch(second["files"][0]["removed_at"])
    assert second["complete"] is False
    third = (await http.get(f"/v1/datasets/{dataset}/versions/3")).json()
    assert ([file["name"] for file in third["files"]], third["complete"]) == (["two.txt"], True)
    missing = await http.get(f"/v1/datasets/{dataset}/versions/4")
    assert (missing.status_code, missing.json()["code"]) == (404, "dataset_version_not_found")


async def test_the_past_is_shown(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    before = (await put(http, dataset)).headers["Event-Position"]
    upload = (await shown(http, dataset))["files"][0]["upload_id"]
    await http.delete(f"/v1/uploads/{upload}")
    then = await shown(http, dataset, as_of=before)
    assert ([file["upload_id"] for file in then["files"]], then["status"]) == ([upload], "ready")
    version = (await http.get(f"/v1/datasets/{dataset}/versions/1", params={"as_of": before})).json()
    assert version["complete"] is True
    await http.delete(f"/v1/datasets/{dataset}")
    assert (await http.get(f"/v1/datasets/{dataset}")).status_code == 404
    assert (await shown(http, dataset, as_of=before))["status"] == "ready"


async def test_a_file_is_downloaded_and_that_is_recorded(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    upload = await uploaded(http, dataset)
    path = f"/v1/datasets/{dataset}/files/{upload}/content"
    head = await http.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(CONTENT)))
    etag = head.headers["etag"]
    assert etag == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert (await http.get(path, headers={"If-None-Match": etag})).status_code == 304
    beyond = await http.get(path, headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")
    assert (await http.get(f"/v1/datasets/{dataset}/downloads")).json() == []  # nothing was given yet
    whole = await http.get(path, headers={"X-Actor": "bob"})
    assert (whole.status_code, whole.content) == (200, CONTENT)
    part = await http.get(path, headers={"Range": "bytes=10-19", "If-Range": etag})
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"
    stale = await http.get(path, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, CONTENT)
    downloads = (await http.get(f"/v1/datasets/{dataset}/downloads")).json()
    assert [(one["name"], one["start"], one["end"]) for one in downloads] == [
        ("bob", 0, len(CONTENT)),
        ("local", 10, 20),
        ("local", 0, len(CONTENT)),
    ]
    assert {one["upload_id"] for one in downloads} == {upload}
    UUID(downloads[0]["actor"])
    await http.delete(f"/v1/uploads/{upload}")
    assert (await http.get(path)).status_code == 410


async def test_deleting_takes_all_bytes(http: httpx.AsyncClient, world: World) -> None:
    dataset, other = await made(http), await made(http)
    await uploaded(http, dataset)
    await uploaded(http, dataset, b"more", "more.txt")
    kept = await uploaded(http, other)
    answer = await http.delete(f"/v1/datasets/{dataset}")
    assert (answer.status_code, answer.json()) == (200, {"id": dataset, "status": "deleted"})
    assert bytes_of(world) == [f"{kept}_train.jsonl"]
    assert (await put(http, dataset)).status_code == 404


async def report(world: World, command: Any) -> None:
    await Dispatch(world.parts.sources)(command, Origin(actor="service:test", command_id=uuid4()))


async def test_checks_and_derived_versions_are_shown(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    upload = await uploaded(http, dataset)
    job, derived = uuid4(), uuid4()
    file = DatasetFile(
        upload_id=derived,
        name="train.jsonl",
        stored_name=f"{derived}_train.jsonl",
        bytes=5,
        sha256=hashlib.sha256(b"clean").hexdigest(),
        uploaded_at=world_now(),
    )
    clean = world.parts.edge.uploads.storage.path(file.stored_name)
    await asyncio.to_thread(clean.write_bytes, b"clean")
    command = DeriveDatasetVersion(
        dataset_id=UUID(dataset), source_version=1, files=(file,), job_id=job, policy_id="zh-pii", policy_version="1"
    )
    await report(world, command)
    await report(world, command)
    bad = ReportFileChecked(
        dataset_id=UUID(dataset),
        upload_id=UUID(upload),
        verdict="invalid",
        format="jsonl",
        records=999,
        problems=(BadLine(line=7, reason="json_syntax"),),
        reason="json_syntax",
    )
    await report(world, bad)
    position = await world.parts.log.last_position()
    record = (await http.get(f"/v1/datasets/{dataset}", headers={"Min-Event-Position": str(position)})).json()
    assert (record["status"], record["version"]) == ("invalid", 2)
    [found] = record["files"]
    assert found["upload_id"] == upload
    assert (record["check"], found["check"]["verdict"], found["check"]["detail"]) == (
        "invalid",
        "invalid",
        "不是合法的 JSON",
    )
    [problem] = found["check"]["problems"]
    assert problem == {"line": 7, "reason": "json_syntax", "detail": "不是合法的 JSON"}
    english = (await http.get(f"/v1/datasets/{dataset}", headers={"Accept-Language": "en"})).json()
    assert english["files"][0]["check"]["detail"] == "Not valid JSON"
    version = (await http.get(f"/v1/datasets/{dataset}/versions/2")).json()
    assert (version["deidentified"], version["source"], version["job_id"]) == (True, 1, str(job))
    assert [one["upload_id"] for one in version["files"]] == [str(derived)]
    assert (await http.get(f"/v1/datasets/{dataset}/files/{derived}/content")).content == b"clean"
    assert (await http.get(f"/v1/datasets/{dataset}/downloads")).json() == []  # it is no raw data
    await http.delete(f"/v1/uploads/{upload}")
    record = await shown(http, dataset)
    assert (record["status"], record["version"]) == ("created", 3)
    assert (await http.get(f"/v1/datasets/{dataset}/versions/2")).json()["complete"] is True


async def test_uploads_are_kept_for_as_long_as_was_said(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http, retention_days=30)
    assert (await shown(http, dataset))["retention_days"] == 30
    await uploaded(http, dataset)
    await report(world, ExpireDatasetFiles(dataset_id=UUID(dataset), at=world_now()))
    assert len((await shown(http, dataset))["files"]) == 1
    answer = await http.put(f"/v1/datasets/{dataset}/retention", json={"retention_days": 7})
    assert (answer.status_code, answer.json()) == (200, {"id": dataset, "retention_days": 7})
    await report(world, ExpireDatasetFiles(dataset_id=UUID(dataset), at=world_now(days=8)))
    position = await world.parts.log.last_position()
    record = (await http.get(f"/v1/datasets/{dataset}", headers={"Min-Event-Position": str(position)})).json()
    assert (record["status"], record["files"]) == ("created", [])

    async def gone() -> bool:
        return bytes_of(world) == []

    await eventually(gone)


async def test_readyz_says_that_nothing_can_be_stored(http: httpx.AsyncClient, world: World) -> None:
    incoming = world.parts.edge.uploads.storage.incoming
    assert (await http.get("/readyz")).status_code == 200
    away = incoming.with_name("away")
    await asyncio.to_thread(incoming.rename, away)
    dataset = await made(http)
    answer = await put(http, dataset)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    ready = await http.get("/readyz", headers={"Accept-Language": "en"})
    assert ready.status_code == 503
    assert "storage" in ready.json()["detail"]
    await asyncio.to_thread(Path.rename, away, incoming)
    assert (await put(http, dataset)).status_code == 200
    assert (await http.get("/readyz")).status_code == 200


async def test_a_reader_may_not_upload(http: httpx.AsyncClient, world: World) -> None:
    """Refused before the body is looked at."""
    dataset = await made(http)
    await issue(world, "carol", "reader", "secret-of-carol")
    headers = bearer("secret-of-carol")
    async with client_of(world) as client:

        async def known() -> bool:
            return (await client.get("/v1/datasets", headers=headers)).status_code == 200

        await eventually(known)
        answer = await put(client, dataset, **headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert (await client.get(f"/v1/datasets/{dataset}", headers=headers)).status_code == 200
    assert bytes_of(world) == []
