"""Training services as processes of their own, to be killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from services.runtime.handover import encode
from services.runtime.settings import Settings

HEARTBEAT = 0.3

_PROGRAM = Path(__file__).parent.parent / "training" / "service_process.py"


class Service:
    """The service of node `name`, with a data and a training directory of its own below `directory`."""

    def __init__(self, url: str, directory: Path, name: str) -> None:
        self.root = directory / "training"
        self.data = directory / "data"
        for made in (self.root, self.data):
            made.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(
            nats_url=url,
            data_dir=self.data,
            host_training_dir=self.root,
            node=name,
            node_labels=f"place={directory.name}",
            executor="local",
            node_heartbeat=HEARTBEAT,
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.data / "service.log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, _PROGRAM, encode(self.settings)], stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def said(self) -> str:
        return (self.data / "service.log").read_text(errors="replace")
