"""Requests a second over HTTP, beside a bare Litestar that pings, and one that only appends to JetStream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nats

from events.log.streams import ensure_streams
from tests.bench.http_load import PROJECT
from tests.nats_server import NatsServer
from tests.ports import free_port

_ROOT = Path(__file__).resolve().parents[2]
_STARTED_WITHIN = 20.0
_ROUNDS = 3
_SYNCS = 200
_WANTED = 0.7


def bench_http(directory: Path, seconds: float = 6.0) -> dict[str, dict[str, float]]:
    """Starts a NATS server, the edge and a projector of their own under `directory`; prints and returns the numbers."""
    server = NatsServer(directory)
    server.start()
    bare, edge = free_port(), free_port()
    environment: dict[str, str] = {
        **os.environ,
        "NATS_URL": server.url,
        "TRAINLEDGER_DATA_DIR": str(directory),
        "TRAINLEDGER_LOG_LEVEL": "ERROR",
        "PYTHONPATH": str(_ROOT),
    }
    try:
        asyncio.run(_prepare(server.url))
        with (
            _process(environment, "-m", "tests.bench.bare_app", str(bare), server.url),
            _process(environment, "-m", "services.cli", "projector"),
            _process(environment, "-m", "services.cli", "edge", "--port", str(edge)),
        ):
            _await_answer(f"http://127.0.0.1:{bare}/ping")
            _await_answer(f"http://127.0.0.1:{edge}/readyz")
            project = _create_project(edge)
            return _measure(bare, edge, project, seconds, _seconds_of_sync(directory))
    finally:
        server.stop()


def _seconds_of_sync(directory: Path) -> float:
    """The median of appending as much as a fact to a file and syncing it, on the disk of the log."""
    durations = []
    with (directory / "sync").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            start = time.perf_counter()
            file.write(bytes(1_000))
            os.fsync(file.fileno())
            durations.append(time.perf_counter() - start)
    return statistics.median(durations)


def _measure(bare: int, edge: int, project: str, seconds: float, sync: float) -> dict[str, dict[str, float]]:
    """Takes turns, so that what else the machine does falls on all alike, and keeps the median of each."""
    targets = (
        ("bare Litestar ping", bare, "GET", "/ping"),
        ("bare Litestar append", bare, "POST", "/append"),
        ("POST /projects", edge, "POST", "/projects"),
        ("GET /projects/{id}", edge, "GET", f"/projects/{project}"),
    )
    results: dict[str, dict[str, float]] = {}
    for connections in (1, 32):
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name, *_ in targets}
        for _ in range(_ROUNDS):
            for name, port, method, path in targets:
                rounds[name].append(_load(port, method, path, connections, seconds / _ROUNDS))
        for name, found in rounds.items():
            median = sorted(found, key=lambda one: one["rate"])[_ROUNDS // 2]
            results[f"{name}, {connections}"] = median
            print(
                f"{name:22}{connections:4} connections{median['rate']:9.0f}/s"
                f"   p50 {median['p50']:7.2f} ms   p99 {median['p99']:7.2f} ms",
                flush=True,
            )
    print(f"an fsync takes {1e3 * sync:.2f} ms here; the bare handler pays for one with each append, groups share them")
    share = results["POST /projects, 32"]["rate"] / results["bare Litestar append, 32"]["rate"]
    print(f"POST /projects at 32 connections: {share:.0%} of the bare append (wanted: {_WANTED:.0%})")
    return results


def _load(port: int, method: str, path: str, connections: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.http_load", str(port), method, path, str(connections), str(seconds)]
    found: dict[str, float] = json.loads(subprocess.run(command, cwd=_ROOT, check=True, capture_output=True).stdout)
    return found


async def _prepare(nats_url: str) -> None:
    connection = await nats.connect(nats_url)
    await ensure_streams(connection.jetstream())
    await connection.close()


@contextlib.contextmanager
def _process(environment: dict[str, str], *arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, *arguments], env=environment, cwd=_ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=_STARTED_WITHIN)


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _create_project(port: int) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/projects",
        data=json.dumps(PROJECT | {"name": "bench"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        project: str = json.load(answer)["id"]
        return project


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="trainledger-bench-") as made:
        bench_http(Path(made))
