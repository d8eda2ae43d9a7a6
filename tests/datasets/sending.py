"""A client of the running service that sends files and keeps a record of what it was told."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from tests.platform.serving import Serving, until

_PIECE = 1 << 20


class Sent(msgspec.Struct, frozen=True):
    """A file that was answered with success."""

    upload_id: str
    name: str
    bytes: int
    sha256: str


class Sender:
    """Any number of threads may send by one. `attempted` is the hashes of all that was ever tried."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{serving.port}", timeout=60, trust_env=False)
        self.sent: list[Sent] = []
        self.attempted: set[str] = set()
        self._lock = threading.Lock()

    def dataset(self) -> str:
        answer = self.client.post("/v1/datasets", json={"name": f"set {uuid4()}"})
        assert answer.status_code == 201 or answer.status_code == 200, answer.text
        dataset_id: str = answer.json()["id"]
        return dataset_id

    def send(self, dataset_id: str, content: bytes, key: str | None = None) -> httpx.Response:
        """Raises httpx.TransportError where there was no answer."""
        sha256, name = hashlib.sha256(content).hexdigest(), f"{uuid4()}.txt"
        with self._lock:
            self.attempted.add(sha256)
        if key is not None:
            name = f"{key}.txt"
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.client.put(
            f"/v1/datasets/{dataset_id}/files", files={"file": (name, content, "text/plain")}, headers=headers
        )
        if answer.is_success:
            told = answer.json()
            assert told["bytes"] == len(content)
            with self._lock:
                self.sent.append(Sent(told["upload_id"], name, len(content), sha256))
        return answer

    def visible(self, dataset_id: str) -> dict[str, dict[str, Any]]:
        """The dataset's files by upload id."""
        answer = self.client.get(f"/v1/datasets/{dataset_id}")
        assert answer.status_code == 200, answer.text
        files: list[dict[str, Any]] = answer.json()["files"]
        found = {file["upload_id"]: file for file in files}
        assert len(found) == len(files)
        return found

    def download(self, dataset_id: str, upload_id: str) -> str:
        """The SHA-256 of what comes."""
        digest = hashlib.sha256()
        with self.client.stream("GET", f"/v1/datasets/{dataset_id}/files/{upload_id}/content") as answer:
            assert answer.status_code == 200, answer.read()
            for piece in answer.iter_bytes(_PIECE):
                digest.update(piece)
        return digest.hexdigest()

    def check(self, dataset_id: str) -> None:
        """All that was answered with success is there as it was sent; of anything else no more than all of it."""
        visible = self.visible(dataset_id)
        for sent in self.sent:
            file = visible[sent.upload_id]
            assert (file["name"], file["bytes"], file["sha256"]) == (sent.name, sent.bytes, sent.sha256)
        for upload_id, file in visible.items():
            assert file["sha256"] in self.attempted
            assert self.download(dataset_id, upload_id) == file["sha256"]

    def close(self) -> None:
        self.client.close()


def stray(storage: Path, visible: Iterable[dict[str, Any]]) -> set[str]:
    """Whatever lies in the store and belongs to no file that is visible."""
    known = {file["stored_name"] for file in visible}
    finished = {path.name for path in (storage / "files").iterdir()} - known
    return finished | {path.name for path in (storage / "incoming").iterdir()}


def swept(storage: Path, visible: Iterable[dict[str, Any]]) -> None:
    """Waits until nothing lies there that should not."""
    files = list(visible)
    until(lambda: not stray(storage, files), f"the end of {stray(storage, files)}")


class Endless(io.RawIOBase):
    """A file of so many bytes that exists nowhere."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._digest = hashlib.sha256()
        self._block = (b"0123456789abcdef" * 4_096)[:-1] + b"\n"

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._block[: min(self._left, len(self._block) if size < 0 else size)]
        self._left -= len(data)
        self._digest.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
