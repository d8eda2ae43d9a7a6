"""kill -9 of the edge, or of everything, while files are uploaded: what was answered is there, and nothing else."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

import httpx
import pytest

from tests.datasets.sending import Endless, Sender, swept
from tests.platform.serving import Serving, until

ALL = ("serve", "edge", "workers", "nats-server")
_THREADS = 6


class Uploading:
    """Threads that send files for as long as it is entered, those with a key again and again until an answer comes."""

    def __init__(self, sender: Sender, dataset_id: str, seed: int) -> None:
        self._sender = sender
        self._dataset_id = dataset_id
        self._stop = threading.Event()
        self._failed: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(seed * 100 + n,)) for n in range(_THREADS)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self._failed, self._failed

    def _run(self, seed: int) -> None:
        moments = random.Random(seed)
        try:
            while not self._stop.is_set():
                content = moments.randbytes(moments.choice([1_000, 200_000, 3_000_000])).hex().encode()
                if seed % 2:
                    self._once(content)
                else:
                    self._until_answered(content)
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            self._failed.append(error)

    def _once(self, content: bytes) -> None:
        try:
            answer = self._sender.send(self._dataset_id, content)
        except httpx.TransportError:
            self._stop.wait(0.05)
        else:
            assert answer.is_success or answer.status_code == 503, answer.text

    def _until_answered(self, content: bytes) -> None:
        key = str(uuid4())
        while True:
            try:
                answer = self._sender.send(self._dataset_id, content, key)
            except httpx.TransportError:
                threading.Event().wait(0.05)
                continue
            if answer.is_success:
                return
            assert answer.status_code in (409, 503), answer.text  # the first attempt is at work, or the log is away


@pytest.fixture
def sender(serving: Serving) -> Iterator[Sender]:
    serving.start()
    until(serving.ready, "readiness")
    made = Sender(serving)
    yield made
    made.close()


def kill_edge(serving: Serving) -> None:
    """Until there is another."""
    killed = serving.part("edge")
    serving.kill("edge")
    until(lambda: serving.parts().get("edge") not in (None, killed), "another edge")


def kill_again_and_again(serving: Serving, sender: Sender, rounds: int, seed: int) -> None:
    moments = random.Random(seed)
    dataset_id = sender.dataset()
    for number in range(rounds):
        with Uploading(sender, dataset_id, seed + number):
            threading.Event().wait(moments.uniform(0.2, 1.2))
            if number % 2:
                serving.kill(*ALL)
                serving.start()
            else:
                kill_edge(serving)
            until(serving.ready, "readiness")
            threading.Event().wait(moments.uniform(0.0, 0.5))
        sender.check(dataset_id)
        swept(serving.data / "storage", sender.visible(dataset_id).values())
    assert len(sender.sent) > rounds
    keys = [sent.name for sent in sender.sent]
    names = [file["name"] for file in sender.visible(dataset_id).values()]
    assert sorted(set(keys)) == sorted(keys), "an upload with a key was answered as two"
    assert len(names) == len(set(names)), "an upload with a key appears twice"


@pytest.mark.chaos
def test_what_was_answered_is_there_and_nothing_else(serving: Serving, sender: Sender) -> None:
    kill_again_and_again(serving, sender, 2, 1)


@pytest.mark.chaos
@pytest.mark.long
def test_twenty_rounds(serving: Serving, sender: Sender) -> None:
    kill_again_and_again(serving, sender, 20, 20)


def test_fifty_at_once_all_appear_once_each(serving: Serving, sender: Sender) -> None:
    dataset_id = sender.dataset()
    contents = [os.urandom(20_000).hex().encode() for _ in range(50)]
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda content: sender.send(dataset_id, content), contents))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    visible = sender.visible(dataset_id)
    assert len(visible) == 50
    assert {file["sha256"] for file in visible.values()} == {hashlib.sha256(each).hexdigest() for each in contents}
    sender.check(dataset_id)
    answer = sender.client.get(f"/v1/datasets/{dataset_id}/versions")
    assert [version["number"] for version in answer.json()] == list(range(1, 51))

    def checks() -> tuple[str, str]:
        shown = sender.client.get(f"/v1/datasets/{dataset_id}").json()
        return shown["status"], shown["check"]

    assert checks()[0] == "ready"
    until(lambda: checks() == ("ready", "valid"), "the checks of all")


@pytest.mark.chaos
def test_a_resumable_upload_goes_on_where_it_was_killed(serving: Serving, sender: Sender) -> None:
    content = os.urandom(6_000_000).hex().encode()
    dataset_id = sender.dataset()
    tus = {"Tus-Resumable": "1.0.0"}
    made = sender.client.post(
        f"/v1/datasets/{dataset_id}/uploads",
        headers=tus | {"Upload-Length": str(len(content)), "Upload-Metadata": "filename dHJhaW4udHh0"},
    )
    assert made.status_code == 201, made.text
    location = made.headers["location"]
    moments = random.Random(3)

    def patch(offset: int, piece: bytes) -> None:
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        with pytest.raises(httpx.TransportError):
            # Slowly, so that it is being sent when the edge dies.
            sender.client.patch(location, headers=tus | headers, content=slowly(piece))

    def slowly(piece: bytes) -> Iterator[bytes]:
        for start in range(0, len(piece), 64 * 1024):
            threading.Event().wait(0.02)
            yield piece[start : start + 64 * 1024]

    offset = 0
    for kill_all in (False, True, False):
        with ThreadPoolExecutor(1) as thread:
            sending = thread.submit(patch, offset, content[offset:])
            threading.Event().wait(moments.uniform(0.3, 0.8))
            if kill_all:
                serving.kill(*ALL)
                serving.start()
            else:
                kill_edge(serving)
            sending.result()
        until(serving.ready, "readiness")
        shown = sender.client.get(f"/v1/datasets/{dataset_id}").json()
        assert shown["files"] == []
        [unfinished] = shown["upload_progress"]["unfinished"]
        head = sender.client.head(location, headers=tus)
        assert int(head.headers["upload-offset"]) == unfinished["offset"] >= offset
        offset = unfinished["offset"]
    assert 0 < offset < len(content)
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    done = sender.client.patch(location, headers=tus | headers, content=content[offset:])
    assert done.status_code == 204, done.text
    [file] = sender.visible(dataset_id).values()
    assert file["sha256"] == hashlib.sha256(content).hexdigest() == sender.download(dataset_id, file["upload_id"])
    swept(serving.data / "storage", [file])
    assert not list((serving.data / "storage" / "uploads").iterdir())


def peak_memory(pid: int) -> int:
    """Bytes, since it was asked for last."""
    status = Path(f"/proc/{pid}/status").read_text()
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("size", [256 << 20, pytest.param(2 << 30, marks=[pytest.mark.chaos, pytest.mark.long])])
def test_a_large_upload_is_not_kept_in_memory(serving: Serving, size: int) -> None:
    serving.settings["TRAINLEDGER_UPLOAD_LIMIT_BYTES"] = str(size)
    serving.start()
    until(serving.ready, "readiness")
    sender = Sender(serving)
    dataset_id = sender.dataset()
    sender.send(dataset_id, b"the first upload brings in what all need\n")
    pid = serving.part("edge")
    peak_memory(pid)
    before = peak_memory(pid)
    content = Endless(size)
    form = {"file": ("large.txt", cast("BinaryIO", content), "text/plain")}
    answer = sender.client.put(f"/v1/datasets/{dataset_id}/files", files=form, timeout=600)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["bytes"], answer.json()["sha256"]) == (size, content.sha256)
    assert peak_memory(pid) - before < 150 << 20
    sender.close()
