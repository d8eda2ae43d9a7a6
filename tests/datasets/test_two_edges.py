"""Two edges on one store, one ledger and one database: both take files at a time, and neither sweeps the other's."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.datasets.sending import Sender, stray
from tests.nats_server import NatsServer
from tests.platform.serving import Serving, until

CONTENT = b'{"text": "0123456789"}\n' * 100_000  # some 2.3 MB
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}


class Apart:
    """Parts of a service, each with a directory of its own, which share what `settings` name."""

    def __init__(self, directory: Path, stack: ExitStack, settings: dict[str, str]) -> None:
        self._directory = directory
        self._stack = stack
        self._settings = settings

    def start(self, part: str, name: str) -> Serving:
        directory = self._directory / name
        directory.mkdir()
        serving = Serving(directory)
        serving.settings |= self._settings | {"TRAINLEDGER_PORT": str(serving.port)}
        output = self._stack.enter_context(serving.output.open("wb"))
        process = subprocess.Popen(
            serving.arguments(part), cwd=directory, env=serving.environment(), stdout=output, stderr=output
        )
        self._stack.callback(process.wait, 60)
        self._stack.callback(process.kill)
        return serving


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    (tmp_path / "nats").mkdir()
    server = NatsServer(tmp_path / "nats")
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        settings = {
            "NATS_URL": server.url,
            "TRAINING_DB_URL": f"sqlite:///{tmp_path}/shared.db",
            "TRAINLEDGER_STORAGE_DIR": str(tmp_path / "store"),
        }
        preparing = Serving(tmp_path)
        assert preparing.command("prepare", **settings).returncode == 0
        made = Apart(tmp_path, stack, settings)
        made.start("projector", "projector")
        yield made


def half_sent(port: int, dataset_id: str) -> tuple[socket.socket, bytes]:
    """An upload on its way, and the rest of it."""
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="slow.jsonl"\r\n\r\n'
    body = form + CONTENT + b"\r\n--x--\r\n"
    head = (
        f"PUT /v1/datasets/{dataset_id}/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nConnection: close\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(head.encode() + body[: len(body) // 2])
    return connection, body[len(body) // 2 :]


def answer_of(connection: socket.socket) -> bytes:
    said = b""
    while data := connection.recv(65_536):
        said += data
    connection.close()
    return said


def test_two_edges_share_a_store(apart: Apart, tmp_path: Path) -> None:
    storage = tmp_path / "store"
    one = apart.start("edge", "one")
    until(one.ready, "the first edge")
    first = Sender(one)
    dataset_id = first.dataset()
    connection, rest = half_sent(one.port, dataset_id)
    [arriving] = until(lambda: [part for part in (storage / "incoming").iterdir() if part.stat().st_size], "bytes")
    orphan = storage / "incoming" / "zz.part"  # a sweep comes upon it last
    orphan.touch()
    for file in (arriving, orphan):
        os.utime(file, (1, 1))  # so old that only the lock of the first edge tells the two apart

    two = apart.start("edge", "two")
    until(two.ready, "the second edge")
    until(lambda: not orphan.exists(), "a sweep")
    assert arriving.exists()
    second = Sender(two)
    contents = [os.urandom(50_000).hex().encode() for _ in range(24)]
    with ThreadPoolExecutor(24) as threads:
        sent = list(
            threads.map(lambda number: (first, second)[number % 2].send(dataset_id, contents[number]), range(24))
        )
    assert {answer.status_code for answer in sent} == {200}, [answer.text for answer in sent]
    connection.sendall(rest)
    assert b" 200 " in answer_of(connection).split(b"\r\n", 1)[0]

    made = first.client.post(
        f"/v1/datasets/{dataset_id}/uploads",
        headers=TUS | {"Upload-Length": str(len(CONTENT)), "Upload-Metadata": "filename YS5qc29ubA=="},
    )
    location, half = made.headers["location"], len(CONTENT) // 2
    pieces = ((second, 0, half), (first, half, half + 10), (second, half + 10, len(CONTENT)))
    for sender, begin, end in pieces:
        headers = BYTES | {"Upload-Offset": str(begin)}
        assert sender.client.patch(location, headers=headers, content=CONTENT[begin:end]).status_code == 204
    taken_back = first.sent[0].upload_id
    assert second.client.delete(f"/v1/uploads/{taken_back}").status_code == 200

    visible = first.visible(dataset_id)
    assert visible == second.visible(dataset_id)
    digest = hashlib.sha256(CONTENT).hexdigest()
    expected = [sent.sha256 for sent in (*first.sent, *second.sent) if sent.upload_id != taken_back]
    assert sorted(file["sha256"] for file in visible.values()) == sorted([*expected, digest, digest])
    assert len(first.client.get(f"/v1/datasets/{dataset_id}/versions").json()) == 24 + 2 + 1
    until(lambda: not stray(storage, visible.values()), "the end of what is left")
    assert not list((storage / "uploads").iterdir())
    for upload_id, file in visible.items():
        assert second.download(dataset_id, upload_id) == file["sha256"]
    first.close()
    second.close()
