"""MB/s of an upload beside a bare Litestar handler that streams to a file with fsync, and what memory it takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nats

from events.log.streams import ensure_streams
from tests.nats_server import NatsServer
from tests.ports import free_port

_ROOT = Path(__file__).resolve().parents[2]
_STARTED_WITHIN = 20.0
_ROUNDS = 5
_WANTED = 0.8
_MOST_GROWTH = 150.0
_BOUNDARY = "------------------------a8f0b7c6d5e4f3a2"  # as curl makes them
_BLOCK = os.urandom(1 << 20)


def bench_uploads(directory: Path, megabytes: int = 256, large: int = 2048) -> dict[str, float]:
    """Starts a NATS server, the edge and a projector of their own under `directory`; prints and returns the numbers."""
    server = NatsServer(directory)
    server.start()
    bare, edge = free_port(), free_port()
    environment: dict[str, str] = {
        **os.environ,
        "NATS_URL": server.url,
        "TRAINLEDGER_DATA_DIR": str(directory),
        "TRAINLEDGER_LOG_LEVEL": "ERROR",
        "TRAINLEDGER_UPLOAD_LIMIT_BYTES": str(1 << 40),
        "PYTHONPATH": str(_ROOT),
    }
    try:
        asyncio.run(_prepare(server.url))
        with (
            _process(environment, "-m", "tests.bench.bare_app", str(bare), server.url, str(directory)),
            _process(environment, "-m", "services.cli", "projector"),
            _process(environment, "-m", "services.cli", "edge", "--port", str(edge)) as serving,
        ):
            _await_answer(f"http://127.0.0.1:{bare}/ping")
            _await_answer(f"http://127.0.0.1:{edge}/readyz")
            return _measure(bare, edge, serving.pid, megabytes, large)
    finally:
        server.stop()


def _measure(bare: int, edge: int, pid: int, megabytes: int, large: int) -> dict[str, float]:
    """Takes turns, so that what else the machine does falls on both alike, and keeps the median of each."""
    dataset = _created(edge)
    before = _memory(pid)
    rates: dict[str, list[float]] = {"bare": [], "upload": []}
    for _ in range(_ROUNDS):
        rates["bare"].append(megabytes / _send(bare, "/upload", megabytes, form=False))
        rates["upload"].append(megabytes / _upload(edge, dataset, megabytes))
    median = {name: sorted(found)[_ROUNDS // 2] for name, found in rates.items()}
    _upload(edge, dataset, large)
    growth = _memory(pid) - before
    share = median["upload"] / median["bare"]
    print(f"bare Litestar handler{median['bare']:9.0f} MB/s\nPUT …/files          {median['upload']:9.0f} MB/s")
    print(f"an upload of {megabytes} MB: {share:.0%} of the bare handler (wanted: {_WANTED:.0%})")
    print(f"an upload of {large} MB: the edge grew by {growth:.0f} MB (wanted: below {_MOST_GROWTH:.0f})")
    return median | {"share": share, "growth": growth}


def _upload(port: int, dataset: str, megabytes: int) -> float:
    """Seconds; the file is removed again."""
    taken = _send(port, f"/v1/datasets/{dataset}/files", megabytes, form=True)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/datasets/{dataset}", timeout=10) as answer:
        [file] = json.load(answer)["files"]
    path = f"http://127.0.0.1:{port}/v1/uploads/{file['upload_id']}"
    urllib.request.urlopen(urllib.request.Request(path, method="DELETE"), timeout=30).close()
    return taken


def _send(port: int, path: str, megabytes: int, *, form: bool) -> float:
    disposition = 'Content-Disposition: form-data; name="file"; filename="a.bin"'
    head = f"--{_BOUNDARY}\r\n{disposition}\r\n\r\n".encode() if form else b""
    tail = f"\r\n--{_BOUNDARY}--\r\n".encode() if form else b""
    kind = f"multipart/form-data; boundary={_BOUNDARY}" if form else "application/octet-stream"
    length = len(head) + megabytes * len(_BLOCK) + len(tail)
    lines = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(lines.encode() + head)
        for _ in range(megabytes):
            connection.sendall(_BLOCK)
        connection.sendall(tail)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return time.perf_counter() - begun


def _memory(pid: int) -> float:
    """Most that was ever resident, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _created(port: int) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/datasets",
        data=b'{"name": "bench"}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        identifier: str = json.load(answer)["id"]
        return identifier


async def _prepare(nats_url: str) -> None:
    connection = await nats.connect(nats_url)
    await ensure_streams(connection.jetstream())
    await connection.close()


@contextlib.contextmanager
def _process(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *arguments], env=environment, cwd=_ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=_STARTED_WITHIN)


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="trainledger-bench-") as made:
        bench_uploads(Path(made))
