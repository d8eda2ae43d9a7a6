"""A store on a small file system of its own that runs full: told, nothing corrupt, and it recovers."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.datasets.sending import Sender, swept
from tests.platform.serving import Serving, until

MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Path]:
    """8 MB, of which another program can take some."""
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(directory)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        reason = f"no small file system can be mounted here: {mounted.stderr.strip()}"
        if os.environ.get("TRAINLEDGER_REQUIRE_ALL"):
            pytest.fail(reason)
        print(reason)
        pytest.skip(reason)
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture
def sender(storage: Path, serving: Serving) -> Iterator[Sender]:
    serving.settings["TRAINLEDGER_STORAGE_DIR"] = str(storage / "store")
    serving.start()
    until(serving.ready, "readiness")
    made = Sender(serving)
    yield made
    made.close()


def content(size: int) -> bytes:
    return os.urandom(size // 2).hex().encode()


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def not_ready(sender: Sender) -> str:
    answer = sender.client.get("/readyz", headers={"Accept-Language": "en"})
    return answer.text if answer.status_code == 503 else ""


def test_a_full_store_takes_nothing_and_recovers(storage: Path, serving: Serving, sender: Sender) -> None:
    dataset_id = sender.dataset()
    assert sender.send(dataset_id, content(2 * MIB)).status_code == 200
    whole = content(2 * MIB)
    made = sender.client.post(
        f"/v1/datasets/{dataset_id}/uploads",
        headers=TUS | {"Upload-Length": str(len(whole)), "Upload-Metadata": "filename YS50eHQ="},
    )
    location = made.headers["location"]

    def patch(offset: int, end: int) -> httpx.Response:
        headers = BYTES | {"Upload-Offset": str(offset)}
        return sender.client.patch(location, headers=headers, content=whole[offset:end])

    assert patch(0, 500_000).status_code == 204
    refused = sender.send(dataset_id, content(16 * MIB))
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
    assert len(sender.visible(dataset_id)) == 1
    swept(storage / "store", sender.visible(dataset_id).values())

    filler = storage / "filler"
    with pytest.raises(OSError, match="No space"):
        fill(filler)
    said = until(lambda: not_ready(sender), "readiness to say so")
    assert "/storage" in said
    assert "the storage is full" in said
    created = sender.client.post(
        f"/v1/datasets/{dataset_id}/uploads",
        headers=TUS | {"Upload-Length": "100000", "Upload-Metadata": "filename YS50eHQ="},
    )
    for answer in (sender.send(dataset_id, content(100_000)), patch(500_000, 700_000), created):
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
    assert sender.client.get(f"/v1/datasets/{dataset_id}").status_code == 200
    sender.check(dataset_id)
    got = int(sender.client.head(location, headers=TUS).headers["upload-offset"])
    assert 500_000 <= got <= 700_000

    filler.unlink()
    until(lambda: not not_ready(sender), "readiness")
    assert sender.send(dataset_id, content(MIB)).status_code == 200
    assert patch(got, len(whole)).status_code == 204
    visible = sender.visible(dataset_id)
    assert len(visible) == 3
    assert sender.download(dataset_id, location.rpartition("/")[2]) == hashlib.sha256(whole).hexdigest()
    for sent in sender.sent:
        assert sender.download(dataset_id, sent.upload_id) == visible[sent.upload_id]["sha256"] == sent.sha256
    swept(storage / "store", visible.values())


def test_of_many_at_once_those_that_fit_are_whole(storage: Path, serving: Serving, sender: Sender) -> None:
    dataset_id = sender.dataset()
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: sender.send(dataset_id, content(MIB)), range(12)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 507}, [answer.text for answer in answers]
    sender.check(dataset_id)
    assert len(sender.visible(dataset_id)) == codes.count(200)
    swept(storage / "store", sender.visible(dataset_id).values())
