"""Resumable uploads, by another's client of tus and by hand, and what real connections do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from events.log import LogUnavailable
from services.edge import uploading
from services.runtime.dispatch import Dispatch
from services.runtime.storage.keeping import Keeper
from tests.edge.conftest import World, eventually
from tests.edge.test_access import bearer, issue
from tests.edge.test_datasets import CONTENT, bytes_of, made, put, shown
from tests.edge.test_server import listening, raw

TUS = {"Tus-Resumable": "1.0.0"}
PATCH = TUS | {"Content-Type": "application/offset+octet-stream"}


def metadata(name: str = "train.jsonl") -> str:
    return f"filename {base64.b64encode(name.encode()).decode()},filetype dGV4dA=="


async def begun(http: httpx.AsyncClient, dataset: str, length: int = len(CONTENT), /, **headers: str) -> str:
    given = TUS | {"Upload-Length": str(length), "Upload-Metadata": metadata()} | headers
    answer = await http.post(f"/v1/datasets/{dataset}/uploads", headers=given)
    assert (answer.status_code, answer.content) == (201, b""), answer.text
    return answer.headers["location"]


async def send(http: httpx.AsyncClient, upload: str, content: bytes, offset: int, **headers: str) -> httpx.Response:
    return await http.patch(upload, content=content, headers=PATCH | {"Upload-Offset": str(offset)} | headers)


async def offset_of(http: httpx.AsyncClient, upload: str) -> int:
    answer = await http.head(upload, headers=TUS)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["upload-metadata"].startswith("filename ")
    assert int(answer.headers["upload-length"]) >= int(answer.headers["upload-offset"])
    return int(answer.headers["upload-offset"])


async def test_anothers_client_uploads_in_pieces(world: World, http: httpx.AsyncClient) -> None:
    """tuspy: creation, pieces, and taking up what another client began."""
    tus = pytest.importorskip("tusclient.client")
    dataset = await made(http)

    def upload(address: str) -> None:
        client = tus.TusClient(f"{address}/v1/datasets/{dataset}/uploads")
        first = client.uploader(file_stream=io.BytesIO(CONTENT), chunk_size=10_000, metadata={"filename": "训练.jsonl"})
        first.upload_chunk()
        again = client.uploader(file_stream=io.BytesIO(CONTENT), chunk_size=20_000, url=first.url)
        assert again.offset == 10_000
        again.upload()
        assert again.offset == len(CONTENT)

    async with listening(world.app) as address:
        await asyncio.to_thread(upload, address)
    [file] = (await shown(http, dataset))["files"]
    assert (file["name"], file["sha256"]) == ("训练.jsonl", hashlib.sha256(CONTENT).hexdigest())
    assert bytes_of(world) == [file["stored_name"]]


async def test_what_is_unfinished_is_shown(world: World, http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    upload = await begun(http, dataset)
    answer = await send(http, upload, CONTENT[:100], 0)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "100")
    assert parsedate_to_datetime(answer.headers["upload-expires"]) > datetime.now(UTC) + timedelta(days=6)
    body = await shown(http, dataset)
    assert (body["status"], body["files"]) == ("created", [])
    [unfinished] = body["upload_progress"]["unfinished"]
    identifier = upload.rpartition("/")[2]
    assert (unfinished["upload_id"], unfinished["name"], unfinished["offset"], unfinished["bytes"]) == (
        identifier,
        "train.jsonl",
        100,
        len(CONTENT),
    )
    state = (await http.get(upload)).json()
    assert (state["status"], state["offset"]) == ("unfinished", 100)
    last = await send(http, upload, CONTENT[100:], 100)
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(CONTENT)))
    seen = await http.get(f"/v1/datasets/{dataset}", headers={"Min-Event-Position": last.headers["event-position"]})
    assert seen.json()["upload_progress"] == {"files_count": 1, "unfinished": []}
    assert seen.json()["files"][0]["upload_id"] == identifier
    assert await offset_of(http, upload) == len(CONTENT)
    assert (await http.get(upload)).json()["status"] == "finished"
    late = await send(http, upload, b"x", len(CONTENT))
    assert (late.status_code, late.json()["code"]) == (409, "upload_finished")


async def test_an_upload_is_made_with_its_first_bytes(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    headers = PATCH | {"Upload-Length": str(len(CONTENT)), "Upload-Metadata": metadata()}
    answer = await http.post(f"/v1/datasets/{dataset}/uploads", headers=headers, content=CONTENT)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(CONTENT)))
    assert (await shown(http, dataset))["status"] == "ready"


async def test_a_repeated_creation_is_the_same_upload(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    key = {"Idempotency-Key": "begin-1"}
    assert await begun(http, dataset, **key) == await begun(http, dataset, **key)
    assert len((await shown(http, dataset))["upload_progress"]["unfinished"]) == 1


async def test_a_creation_that_is_repeated_later_harms_nothing(http: httpx.AsyncClient, world: World) -> None:
    """With the key of another upload, or of one that is finished: the file on record stays whole."""
    dataset, other = await made(http), await made(http)
    key = {"Idempotency-Key": "begin-1"}
    upload = await begun(http, dataset, **key)
    elsewhere = await begun(http, other, **key)
    assert elsewhere != upload
    assert (await http.delete(elsewhere)).status_code == 200
    given = TUS | {"Upload-Length": "5", "Upload-Metadata": metadata()} | key
    answer = await http.post(f"/v1/datasets/{dataset}/uploads", headers=given)
    assert (answer.status_code, answer.json()["code"]) == (422, "command_id_reused")
    assert (await send(http, upload, CONTENT, 0)).status_code == 204
    given = TUS | {"Upload-Length": str(len(CONTENT)), "Upload-Metadata": metadata()} | key
    again = await http.post(f"/v1/datasets/{dataset}/uploads", headers=given)
    assert (again.status_code, again.headers["location"]) == (201, upload)
    assert again.headers["upload-offset"] == str(len(CONTENT))
    late = await send(http, upload, CONTENT[::-1], 0)
    assert (late.status_code, late.json()["code"]) == (409, "upload_finished")
    [file] = (await shown(http, dataset))["files"]
    assert bytes_of(world) == [file["stored_name"]]
    content = await http.get(f"/v1/datasets/{dataset}/files/{file['upload_id']}/content")
    assert content.content == CONTENT


@pytest.mark.parametrize("way", ["the upload", "the dataset"])
async def test_what_was_removed_does_not_come_back_by_a_repeated_request(
    http: httpx.AsyncClient, world: World, way: str
) -> None:
    dataset = await made(http)
    path, yaml = f"/v1/datasets/{dataset}/train-config", {"file": ("a.yaml", b"stage: sft\n")}
    file_key, config_key = {"Idempotency-Key": "file-1"}, {"Idempotency-Key": "config-1"}
    first = await put(http, dataset, **file_key)
    config = await http.put(path, files=yaml, headers=config_key)
    assert (first.status_code, config.status_code) == (200, 200)
    target = f"/v1/datasets/{dataset}" if way == "the dataset" else f"/v1/uploads/{first.json()['upload_id']}"
    assert (await http.delete(target)).status_code == 200
    left = bytes_of(world)
    assert len(left) == (0 if way == "the dataset" else 1)
    assert (await put(http, dataset, **file_key)).json() == first.json()
    assert (await http.put(path, files=yaml, headers=config_key)).json() == config.json()
    assert [name for name in bytes_of(world) if not name.endswith(".doubtful")] == left


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Length": ""}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "0"}, 422),
        ({"Upload-Length": str(2**61)}, 413),
        ({"Upload-Metadata": ""}, 400),
        ({"Upload-Metadata": "filename ***"}, 400),
        ({"Upload-Metadata": metadata("../x")}, 422),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
async def test_bad_creations_are_refused(
    http: httpx.AsyncClient, world: World, headers: dict[str, str], status: int
) -> None:
    dataset = await made(http)
    given = TUS | {"Upload-Length": "10", "Upload-Metadata": metadata()} | headers
    given = {name: value for name, value in given.items() if value}
    content = b"x" if "Content-Type" in given else b""
    answer = await http.post(f"/v1/datasets/{dataset}/uploads", headers=given, content=content)
    assert answer.status_code == status, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"
    assert bytes_of(world) == []


async def test_a_content_type_of_nothing_is_none(http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    upload = await begun(http, dataset, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert await offset_of(http, upload) == 0


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "PUT", None])
async def test_a_proxy_may_let_post_through_alone(http: httpx.AsyncClient, world: World, method: str | None) -> None:
    upload = await begun(http, await made(http))
    meant = {} if method is None else {"X-HTTP-Method-Override": method}
    answer = await http.post(upload, content=CONTENT[:100], headers=PATCH | {"Upload-Offset": "0"} | meant)
    match method:
        case "PATCH":
            assert (answer.status_code, answer.headers["upload-offset"]) == (204, "100")
            assert await offset_of(http, upload) == 100
        case "DELETE":
            assert (answer.status_code, bytes_of(world)) == (204, [])
        case _:
            assert (answer.status_code, answer.headers["tus-resumable"]) == (405, "1.0.0")
            assert await offset_of(http, upload) == 0


async def test_bad_pieces_are_refused(http: httpx.AsyncClient) -> None:
    upload = await begun(http, await made(http))
    await send(http, upload, CONTENT[:100], 0)
    wrong = await send(http, upload, CONTENT, 50)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "upload_offset_wrong")
    kind = await send(http, upload, b"x", 100, **{"Content-Type": "text/plain"})
    assert kind.status_code == 415
    version = await send(http, upload, b"x", 100, **{"Tus-Resumable": "2.0.0"})
    assert version.status_code == 412
    assert (await http.patch(upload, content=b"x", headers=PATCH)).status_code == 400
    too_much = await send(http, upload, CONTENT, 100)
    assert too_much.status_code == 413
    unknown = await send(http, f"/v1/uploads/{uuid4()}", b"x", 0)
    assert unknown.status_code == 404
    assert await offset_of(http, upload) == 100


async def test_options_say_what_is_spoken(http: httpx.AsyncClient) -> None:
    for path in (f"/v1/datasets/{uuid4()}/uploads", f"/v1/uploads/{uuid4()}"):
        answer = await http.options(path)
        assert answer.status_code == 204
        assert answer.headers["tus-version"] == "1.0.0"
        assert set(answer.headers["tus-extension"].split(",")) >= {"creation", "termination", "expiration"}
        assert int(answer.headers["tus-max-size"]) > 1 << 30


@pytest.mark.parametrize("way", ["tus", "documented"])
@pytest.mark.parametrize("finished", [False, True])
async def test_an_upload_is_ended(http: httpx.AsyncClient, world: World, finished: bool, way: str) -> None:
    dataset = await made(http)
    upload = await begun(http, dataset)
    await send(http, upload, CONTENT if finished else CONTENT[:100], 0)
    answer = await http.delete(upload, headers=TUS if way == "tus" else {})
    if way == "tus":
        assert (answer.status_code, answer.content, answer.headers["tus-resumable"]) == (204, b"", "1.0.0")
    else:
        assert answer.json() == {"upload_id": upload.rpartition("/")[2], "status": "aborted"}
    assert (await http.head(upload, headers=TUS)).status_code == 404
    body = await shown(http, dataset)
    assert (body["status"], body["upload_progress"]) == ("created", {"files_count": 0, "unfinished": []})
    assert bytes_of(world) == []


async def test_deleting_a_dataset_ends_what_is_unfinished(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    upload = await begun(http, dataset)
    await http.delete(f"/v1/datasets/{dataset}")
    assert (await send(http, upload, CONTENT, 0)).status_code == 404
    assert bytes_of(world) == []


async def test_what_was_being_sent_when_its_dataset_was_deleted_goes_too(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    upload = await begun(http, dataset)

    async def content() -> AsyncIterator[bytes]:
        yield CONTENT[:100]
        assert (await http.delete(f"/v1/datasets/{dataset}")).status_code == 200
        yield CONTENT[100:200]

    answer = await http.patch(upload, content=content(), headers=PATCH | {"Upload-Offset": "0"})
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "200")
    await keeper(world).sweep()
    assert bytes_of(world) == []


async def test_a_reader_may_send_nothing(http: httpx.AsyncClient, world: World) -> None:
    dataset = await made(http)
    upload = await begun(http, dataset)
    await issue(world, "carol", "reader", "secret-of-carol")
    headers = bearer("secret-of-carol")

    async def known() -> bool:
        return (await http.get("/v1/datasets", headers=headers)).status_code == 200

    await eventually(known)
    assert (await send(http, upload, b"x", 0, **headers)).status_code == 403
    assert (await http.delete(upload, headers=headers)).status_code == 403
    assert await offset_of(http, upload) == 0


def keeper(world: World, log: Any = None) -> Keeper:
    uploads = world.parts.edge.uploads
    return Keeper(uploads.storage, uploads.resumable, log or world.parts.log, Dispatch(world.parts.sources))


async def test_what_expired_goes(http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await begun(http, await made(http))
    await send(http, upload, CONTENT[:100], 0)
    await keeper(world).sweep()
    assert await offset_of(http, upload) == 100
    monkeypatch.setattr(world.parts.edge.uploads.resumable, "_kept", -1.0)
    late = await send(http, upload, b"x", 100)
    assert (late.status_code, late.json()["code"]) == (410, "upload_expired")
    await keeper(world).sweep()
    assert bytes_of(world) == []


@pytest.mark.parametrize("by", ["the client", "a sweep"])
async def test_what_the_log_did_not_take_is_recorded_later(
    http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """All bytes have arrived and the log is away: nothing is lost, and it becomes a file once."""
    dataset = await made(http)
    upload = await begun(http, dataset)
    await send(http, upload, CONTENT[:100], 0)
    append = world.parts.log.append

    async def away(*_: object, **__: object) -> None:
        raise LogUnavailable("away")

    monkeypatch.setattr(world.parts.log, "append", away)
    assert (await send(http, upload, CONTENT[100:], 100)).status_code == 503
    assert (await shown(http, dataset))["files"] == []
    monkeypatch.setattr(world.parts.log, "append", append)
    if by == "the client":
        assert await offset_of(http, upload) == len(CONTENT)
    else:
        await keeper(world).sweep()
    position = await world.parts.log.last_position()
    body = (await http.get(f"/v1/datasets/{dataset}", headers={"Min-Event-Position": str(position)})).json()
    assert body["upload_progress"] == {"files_count": 1, "unfinished": []}
    assert body["files"][0]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert bytes_of(world) == [body["files"][0]["stored_name"]]


async def test_a_whole_upload_that_the_log_did_not_take_is_in_doubt(
    http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = await made(http)

    async def away(*_: object, **__: object) -> None:
        raise LogUnavailable("away")

    monkeypatch.setattr(world.parts.log, "append", away)
    assert (await put(http, dataset)).status_code == 503
    names = bytes_of(world)
    assert len(names) == 2
    assert any(name.endswith(".doubtful") for name in names)  # a sweep settles it once nothing can arrive any more
    assert (await shown(http, dataset))["files"] == []


async def test_a_refused_upload_leaves_nothing(http: httpx.AsyncClient, world: World) -> None:
    """Refused only once all of it had arrived, as of a dataset that was deleted meanwhile."""
    dataset = await made(http)
    upload = await begun(http, dataset)

    async def content() -> AsyncIterator[bytes]:
        yield CONTENT[:100]
        assert (await http.delete(f"/v1/datasets/{dataset}")).status_code == 200
        yield CONTENT[100:]

    answer = await http.patch(upload, content=content(), headers=PATCH | {"Upload-Offset": "0"})
    assert answer.status_code == 404
    assert bytes_of(world) == []


def form(length: int | None, content: bytes) -> bytes:
    """The head of a PUT and the begin of its body; `length` is that of all of the file, none for chunks."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    if length is None:
        body = head + content
        return b"Transfer-Encoding: chunked\r\n\r\n" + f"{len(body):x}\r\n".encode() + body + b"\r\n"
    announced = len(head) + length + len(b"\r\n--x--\r\n")
    return f"Content-Length: {announced}\r\n\r\n".encode() + head + content


def line(dataset: str) -> bytes:
    kind = "Content-Type: multipart/form-data; boundary=x"
    return f"PUT /v1/datasets/{dataset}/files HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n".encode()


@pytest.fixture
async def small(world: World) -> World:
    """Uploads of at most 300,000 bytes."""
    parts = world.parts
    uploads = msgspec.structs.replace(parts.edge.uploads, limit=300_000)
    msgspec.structs.force_setattr(parts.edge, "uploads", uploads)
    return world


async def test_a_file_is_refused_as_soon_as_it_is_too_large(small: World, http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    async with listening(small.app) as address:
        url = httpx.URL(address)
        announced, writer = await raw(url, line(dataset) + form(10_000_000, b""))
        assert b" 413 " in await asyncio.wait_for(announced.readline(), 60)  # before a byte of it was sent
        writer.close()
        chunked, writer = await raw(url, line(dataset) + form(None, b"x" * 300_001))
        assert b" 413 " in await asyncio.wait_for(chunked.readline(), 60)  # while more is to come
        writer.close()
        fits, writer = await raw(url, line(dataset) + form(300_000, b"x" * 300_000) + b"\r\n--x--\r\n")
        assert b" 200 " in await asyncio.wait_for(fits.readline(), 60)
        writer.close()
    assert [file["bytes"] for file in (await shown(http, dataset))["files"]] == [300_000]
    assert len(bytes_of(small)) == 1


async def test_a_client_that_goes_away_leaves_nothing(world: World, http: httpx.AsyncClient) -> None:
    dataset = await made(http)
    upload = await begun(http, dataset, 5_000_000)
    async with listening(world.app) as address:
        url = httpx.URL(address)
        _, writer = await raw(url, line(dataset) + form(5_000_000, b"x" * 2_000_000))

        async def arriving() -> bool:
            return any(name.endswith(".part") and "." not in name[:-5] for name in bytes_of(world) if len(name) == 37)

        await eventually(arriving)
        writer.transport.abort()

        async def gone() -> bool:
            return sorted(name.rpartition(".")[2] for name in bytes_of(world)) == ["json", "part"]  # of the other one

        await eventually(gone)
        head = f"PATCH {upload} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        head += "Content-Type: application/offset+octet-stream\r\nContent-Length: 5000000\r\n\r\n"
        _, writer = await raw(url, head.encode() + b"y" * 2_000_000)
        writer.transport.abort()

        async def kept() -> bool:
            return await offset_of(http, upload) > 0

        await eventually(kept)
        got = await offset_of(http, upload)
        rest = await send(http, upload, b"y" * (5_000_000 - got), got)
        assert rest.status_code in (204, 409)  # the bytes before the connection broke may still be on their way
        while rest.status_code == 409:
            got = await offset_of(http, upload)
            rest = await send(http, upload, b"y" * (5_000_000 - got), got)
        assert rest.status_code == 204
    [file] = (await shown(http, dataset))["files"]
    assert file["sha256"] == hashlib.sha256(b"y" * 5_000_000).hexdigest()


def piece(upload: str, content: bytes, length: int) -> bytes:
    """A piece of which only the beginning is sent."""
    head = f"PATCH {upload} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
    head += f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + content


async def holding(http: httpx.AsyncClient, upload: str) -> int:
    """Waits until some of a piece that was begun is on disk."""

    async def some() -> bool:
        return await offset_of(http, upload) > 0

    await eventually(some)
    return await offset_of(http, upload)


@pytest.mark.parametrize("way", ["goes on", "gives up"])
async def test_a_connection_that_is_dead_hinders_nobody(world: World, http: httpx.AsyncClient, way: str) -> None:
    """The network is gone and the connection did not end: nothing more comes, and nobody says so."""
    upload = await begun(http, await made(http), 5_000_000)
    async with listening(world.app) as address:
        dead, writer = await raw(httpx.URL(address), piece(upload, b"y" * 3_000_000, 5_000_000))
        got = await holding(http, upload)
        if way == "gives up":
            assert (await http.delete(upload, headers=TUS)).status_code == 204
        else:
            answer = await send(http, upload, b"y" * (5_000_000 - got), got)
            if answer.status_code == 409:  # what was in memory came after, so that the client asks again
                held, got = got, await offset_of(http, upload)
                assert held <= got <= 3_000_000
                answer = await send(http, upload, b"y" * (5_000_000 - got), got)
            assert answer.status_code == 204, answer.text
        assert b" 409 " in await asyncio.wait_for(dead.readline(), 20)
        writer.close()
    if way == "goes on":
        assert bytes_of(world) == [f"{upload.rpartition('/')[2]}_train.jsonl"]
    else:
        assert bytes_of(world) == []


async def test_a_sender_that_falls_silent_is_cut_off(
    world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_QUIET", 0.5)
    dataset = await made(http)
    upload = await begun(http, dataset, 5_000_000)
    async with listening(world.app) as address:
        url = httpx.URL(address)
        whole, one = await raw(url, line(dataset) + form(5_000_000, b"x" * 2_000_000))
        part, other = await raw(url, piece(upload, b"y" * 2_000_000, 5_000_000))
        assert b" 408 " in await asyncio.wait_for(whole.readline(), 20)
        assert b" 408 " in await asyncio.wait_for(part.readline(), 20)
        one.close()
        other.close()
    assert sorted(name.rpartition(".")[2] for name in bytes_of(world)) == ["json", "part"]
    assert await offset_of(http, upload) == 2_000_000
