"""Deployments under the whole service: request to the first good health probe, and the list while twenty are served."""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.platform.serving import Serving, until
from tests.ports import free_port

SERVER = Path(__file__).resolve().parents[1] / "deployments" / "misbehaving_server.py"
STARTS, SERVED, LISTS = 10, 20, 50


class Served(Serving):
    """Its servers are a few lines of the standard library, so that what is measured is not a model's loading."""

    def environment(self, **more: str) -> dict[str, str]:
        template = f"{sys.executable} {SERVER} {{model_path}} --host {{host}} --port {{port}} {{extra_args}}"
        own = {"VLLM_CMD_TEMPLATE": template, "TRAINLEDGER_DEPLOY_PORTS": "20000-20999"}
        return super().environment(**own | more)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            client.request(
                method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
            )
            answer = client.getresponse()
            content = answer.read()
            assert 200 <= answer.status < 300, content
            return json.loads(content)
        finally:
            client.close()


def bare() -> float:
    """Seconds from the server's start to its first answer, without anybody between."""
    port = free_port()
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, SERVER, "m", "--port", str(port)], stdout=subprocess.DEVNULL) as server:
        while not _answers(port):
            time.sleep(0.005)
        took = time.perf_counter() - begun
        server.kill()
    return took


def _answers(port: int) -> bool:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request("GET", "/health")
        return client.getresponse().status == 200
    except OSError:
        return False
    finally:
        client.close()


def started(serving: Served) -> tuple[str, float, float]:
    """The deployment, and the seconds until its request was answered and until a GET says that it is healthy."""
    begun = time.perf_counter()
    path = f"/deployments/{serving.ask('POST', '/deployments', {'model_path': 'm'})['deployment_id']}"
    answered = time.perf_counter() - begun
    while not serving.ask("GET", path)["health_ok"]:
        time.sleep(0.005)
    return path, answered, time.perf_counter() - begun


def timed(serving: Served, path: str) -> float:
    begun = time.perf_counter()
    serving.ask("GET", path)
    return time.perf_counter() - begun


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:6.0f} ms (median), {max(seconds) * 1000:.0f} ms (longest)"


def bench_deployments(directory: Path) -> None:
    serving = Served(directory)
    try:
        serving.start()
        until(serving.ready, "readiness")
        print(f"the server by itself, start to first answer      {_ms([bare() for _ in range(STARTS)])}", flush=True)
        made = [started(serving) for _ in range(STARTS)]
        print(f"POST /deployments to its answer                  {_ms([one[1] for one in made])}", flush=True)
        print(f"POST /deployments to the first good probe        {_ms([one[2] for one in made])}", flush=True)
        with ThreadPoolExecutor(SERVED) as threads:
            list(threads.map(lambda _: started(serving), range(SERVED - STARTS)))
        lists = [timed(serving, "/deployments") for _ in range(LISTS)]
        print(f"GET /deployments, {SERVED} served, each probed          {_ms(lists)}   (wanted: under 2 s)", flush=True)
        begun = time.perf_counter()
        with ThreadPoolExecutor(SERVED) as threads:
            paths = [f"/deployments/{view['deployment_id']}" for view in serving.ask("GET", "/deployments")]
            list(threads.map(lambda path: serving.ask("DELETE", path), paths))
        print(f"DELETE of all {SERVED} at once                        {time.perf_counter() - begun:6.2f} s", flush=True)
    finally:
        serving.command("stop", "--all")
        serving.end_everything()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="trainledger-bench-") as place:
        bench_deployments(Path(place))
