"""A storage that has no room: said so, nothing half stored, and as before once there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from services.runtime.settings import Settings
from tests.edge.conftest import World, client_of, made
from tests.edge.test_datasets import bytes_of, put, shown
from tests.edge.test_datasets import made as dataset_made
from tests.edge.test_uploads import begun, offset_of, send
from tests.nats_server import NatsServer

_ROOM = 4 * 1024 * 1024


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "narrow"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "none", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes more rights")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
async def narrow_world(edge_nats: NatsServer, settings: Settings, narrow: Path) -> AsyncIterator[World]:
    async with made(edge_nats.url, msgspec.structs.replace(settings, storage_dir=narrow / "storage")) as world:
        yield world


async def test_a_full_storage_takes_nothing_and_recovers(narrow_world: World, narrow: Path) -> None:
    async with client_of(narrow_world) as http:
        dataset = await dataset_made(http)
        kept = await put(http, dataset, b"x" * 1_000_000)
        assert kept.status_code == 200
        upload = await begun(http, dataset, 2_000_000)
        assert (await send(http, upload, b"y" * 500_000, 0)).status_code == 204

        refused = await put(http, dataset, os.urandom(_ROOM), "large.bin")
        assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
        assert await stored(http, dataset) == ["train.jsonl"]
        assert len(bytes_of(narrow_world)) == 3  # the file that is kept, and the unfinished one

        ballast = narrow / "ballast"
        fill(ballast)
        ready = await http.get("/readyz", headers={"Accept-Language": "en"})
        assert ready.status_code == 503
        assert "the storage is full" in str(ready.json()["errors"])
        for answer in (await put(http, dataset, b"z" * 100_000), await send(http, upload, b"y" * 100_000, 500_000)):
            assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        got = await offset_of(http, upload)
        assert 500_000 <= got <= 600_000

        ballast.unlink()
        assert (await http.get("/readyz")).status_code == 200
        rest = await send(http, upload, b"y" * (2_000_000 - got), got)
        assert rest.status_code == 204
        assert await stored(http, dataset) == ["train.jsonl", "train.jsonl"]
        content = await http.get(f"/v1/datasets/{dataset}/files/{upload.rpartition('/')[2]}/content")
        assert content.content == b"y" * 2_000_000


async def stored(http: httpx.AsyncClient, dataset: str) -> list[str]:
    return [file["name"] for file in (await shown(http, dataset))["files"]]


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
