"""`trainledger serve` as a user runs it: a process of its own, on free ports, in a directory of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from services.runtime.children import processes
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
_OWN = ("TRAINLEDGER_", "NATS_", "TRAINING_DB_URL", "HOST_TRAINING_DIR", "EXECUTOR", "DOCKER_")


def until(condition: Callable[[], Any], what: str, within: float = PATIENCE) -> Any:
    """The condition's value once it is true; looks every 20 ms, for nothing tells an outsider when it is."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {within} s"
        time.sleep(0.02)
    return value


class Serving:
    """One data directory and its ports, over any number of starts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = free_port()
        self.nats_port = free_port()
        self.output = directory / "output.txt"
        self.settings: dict[str, str] = {}  # of every start and command, as environment variables
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
        own = {"PYTHONPATH": str(ROOT), "TRAINLEDGER_NATS_PORT": str(self.nats_port), "EXECUTOR": "local"}
        return kept | own | self.settings | more

    def command(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One command of the command line on this data directory, to its end."""
        return subprocess.run(
            self.arguments(name, *arguments),
            cwd=self.directory,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def start(self, *options: str, through: Sequence[str] = (), terminal: int | None = None) -> float:
        """Returns the seconds until the first request was answered; `through` is a command that executes another."""
        begun = time.monotonic()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*through, *self.arguments("serve", "--port", str(self.port), *options)],
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output if terminal is None else terminal,
                stderr=output if terminal is None else terminal,
                start_new_session=True,
            )
        until(self.healthy, f"an answer ({self.said()})")
        return time.monotonic() - begun

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def kill(self, *names: str) -> None:
        """kill -9 of these parts at once; `serve` is the parent."""
        pids = [self.part(name) for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if "serve" in names and self.process is not None:
            self.process.wait()
            self.process = None

    def end_everything(self) -> None:
        for name, pid in self.parts().items():
            if name == "serve" and self.process is not None:
                self.process.kill()
                self.process.wait()
            else:
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.parts(), "the end of everything")
        for file in self.data.glob("runs/*/*/pid"):  # trainings go on without a service
            processes.send(processes.Identity.parse(file.read_text()), signal.SIGKILL)

    def part(self, name: str) -> int:
        return int(until(lambda: self.parts().get(name), f"a process {name}"))

    def parts(self) -> dict[str, int]:
        """Pids of what works on this data directory: serve, edge, workers, nats-server."""
        found: dict[str, int] = {}
        for entry in Path("/proc").iterdir():
            try:
                arguments = (entry / "cmdline").read_bytes().decode().split("\0") if entry.name.isdigit() else []
            except (FileNotFoundError, ProcessLookupError):
                continue
            if not any(argument.startswith(str(self.data)) for argument in arguments):
                continue
            for name in ("serve", "edge", "workers", "prepare"):
                if name in arguments and "services.cli" in arguments:
                    found[name] = int(entry.name)
            if arguments[0].endswith("nats-server"):
                found["nats-server"] = int(entry.name)
        return found

    def healthy(self) -> bool:
        assert self.process is None or self.process.poll() is None, self.said()
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def launches(self) -> bool:
        """Whether its node answers too, for trainings and for deployments: until then they are refused."""
        try:
            nodes = self.get("/v1/nodes")[1] if self.ready() else []
            return any(node["status"] == "live" for node in nodes) and self.get("/gpus")[1] != []
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        return self._ask(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers))

    def post(self, path: str, body: object = None) -> tuple[int, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}{path}"
        return self._ask(urllib.request.Request(url, data=data, headers=headers, method="POST"))

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8") if self.output.exists() else ""

    def arguments(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-X", "utf8", "-m", "services.cli", name, "--data-dir", str(self.data), *arguments]

    @staticmethod
    def _ask(request: urllib.request.Request) -> tuple[int, Any]:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read())
