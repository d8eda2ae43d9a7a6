"""A printing child under the whole service: lines/s to committed rows, and how late a client sees a line."""

from __future__ import annotations

import http.client
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench.bench_idle import _proportional_mb
from tests.platform.serving import Serving, until

FAST = 1_000_000
STEADY, SECONDS = 50_000, 10
# Lines of 100 bytes; every thousandth is printed at once and says when.
PROGRAM = """
import sys, time
count, rate = int(sys.argv[1]), float(sys.argv[2])
begun, write = time.time(), sys.stdout.write
for first in range(0, count, 500):
    if rate:
        time.sleep(max(0.0, begun + first / rate - time.time()))
    write("".join(f"{number:>99}\\n" for number in range(first, first + 499)))
    write(f"at {time.time():.6f}".ljust(99) + "\\n")
    sys.stdout.flush()
"""


class Served(Serving):
    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(ALLOW_START_COMMAND="1", **more)


class Follower(threading.Thread):
    """Reads the live log and notes how old each line is that says when it was printed."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(daemon=True)
        self.ages: list[float] = []
        self._port, self._path = port, path

    def run(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        client.request("GET", self._path, headers={"Accept": "text/event-stream"})
        answer = client.getresponse()
        while data := answer.read1(1024 * 1024):
            now = time.time()
            self.ages += (now - float(found) for found in re.findall(rb'"message":"at (\d+\.\d+)', data))
            if b"event: end" in data:
                return


def printed(serving: Served, project: str, count: int, rate: float, *, followed: bool) -> tuple[float, list[float]]:
    """Seconds from the request to the last row, and the ages of lines as the client saw them."""
    begun = time.time()
    _, run = serving.post(
        f"/projects/{project}/runs", {"start_command": f"{sys.executable} -B printing.py {count} {rate}"}
    )
    path = f"/projects/{project}/runs/{run['id']}"
    follower = Follower(serving.port, path + "/logs")
    if followed:
        follower.start()
    database = sqlite3.connect(f"file:{serving.data / 'training.db'}?mode=ro", uri=True)
    try:
        statement = "SELECT max(lines) FROM run_telemetry WHERE run_id = ?"
        until(lambda: (database.execute(statement, (run["id"],)).fetchone()[0] or 0) >= count, "all rows", 600)
    finally:
        database.close()
    took = time.time() - begun
    until(lambda: serving.get(path)[1]["status"] == "completed", "the end", 60)
    if followed:
        follower.join(60)
    return took, follower.ages


def memory(serving: Served) -> str:
    return ", ".join(f"{name} {_proportional_mb(pid):.0f}" for name, pid in serving.parts().items())


def cpu(serving: Served) -> dict[str, float]:
    """Seconds of CPU that each part has used."""
    used = {}
    for name, pid in serving.parts().items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def per_line(before: dict[str, float], after: dict[str, float], lines: int) -> str:
    return ", ".join(f"{name} {(after[name] - before[name]) / lines * 1e6:.1f}" for name in after)


def started_at(serving: Served, project: str) -> float:
    """Seconds from the request to the child's first instruction."""
    begun = time.time()
    _, run = serving.post(f"/projects/{project}/runs", {"start_command": "bash -c 'echo $EPOCHREALTIME'"})
    path = f"/projects/{project}/runs/{run['id']}"
    until(lambda: serving.get(path)[1]["status"] == "completed", "the end", 60)
    entries: list[Any] = serving.get(path + "/logs?stream=stdout")[1]["entries"]
    return float(entries[0]["message"]) - begun


def bench_live(directory: Path) -> None:
    serving = Served(directory)
    try:
        serving.start()
        until(serving.ready, "readiness")
        root = serving.data / "training"
        (root / "printing.py").write_text(PROGRAM)
        body = {
            "name": "bench",
            "owner": "bench",
            "dataset_name": "datasets/qwen_demo.jsonl",
            "training_yaml_name": "configs/qwen_demo.yaml",
        }
        serving.post("/projects", body)
        waits = [started_at(serving, "bench") for _ in range(10)]
        first = statistics.median(waits) * 1000
        print(f"request to the child's first instruction, median   {first:6.0f} ms", flush=True)
        print(f"memory before (PSS, MB)   {memory(serving)}", flush=True)
        before = cpu(serving)
        took, _ = printed(serving, "bench", FAST, 0, followed=False)
        print(f"CPU per line (µs)   {per_line(before, cpu(serving), FAST)}", flush=True)
        print(f"{FAST:,} lines of 100 bytes, request to committed rows   {FAST / took:10,.0f} lines/s", flush=True)
        largest = max((serving.data / "runs").glob("*/1/out.log"), key=lambda path: path.stat().st_size)
        begun = time.perf_counter()
        counted = subprocess.run(["tail", "-c", "+1", largest], capture_output=True).stdout.count(b"\n")
        took = time.perf_counter() - begun
        print(f"bare tail of the same file   {counted / took:10,.0f} lines/s", flush=True)
        print(f"memory after (PSS, MB)   {memory(serving)}", flush=True)
        for rate in (5_000, STEADY):
            before = cpu(serving)
            took, ages = printed(serving, "bench", rate * SECONDS, rate, followed=True)
            print(f"CPU per line, with a client (µs)   {per_line(before, cpu(serving), rate * SECONDS)}", flush=True)
            ages.sort()
            percentile = ages[int(len(ages) * 0.95)] if ages else float("nan")
            print(
                f"{rate:,} lines/s for {SECONDS} s: rows after {took:.1f} s; a client sees a line after"
                f" {statistics.median(ages) * 1000:.0f} ms (median), {percentile * 1000:.0f} ms (95 %)",
                flush=True,
            )
        print(f"memory at the end (PSS, MB)   {memory(serving)}", flush=True)
        serving.stop(signal.SIGINT)
    finally:
        serving.end_everything()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="trainledger-bench-") as made:
        bench_live(Path(made))
