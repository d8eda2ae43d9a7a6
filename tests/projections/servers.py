"""Real database servers for tests: private, in a directory of their own, on a free port, as an unprivileged user."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import psycopg
import pymysql

from tests.ports import free_port

_STARTED_WITHIN = 60.0
PASSWORD = "s3cret-of-tests"


class Missing(Exception):
    """The programs of this server are not installed."""


def _program(*names: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    path = os.pathsep.join([*map(str, versions), os.environ.get("PATH", ""), "/usr/sbin"])
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise Missing(f"{' or '.join(names)} is not installed")


class DatabaseServer:
    """`directory` is given to a user without rights, since these servers refuse to run as root."""

    _stop_signal = signal.SIGTERM

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._user = "nobody" if os.getuid() == 0 else None
        self._environment = os.environ | {"TMPDIR": str(directory)}  # each MariaDB clears its own as it starts
        if self._user is not None:
            shutil.chown(directory, self._user)

    def start(self) -> None:
        """Returns when the server takes connections."""
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self.directory,
                start_new_session=True,
                env=self._environment,
            )
        deadline = time.monotonic() + _STARTED_WITHIN
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(self._stop_signal)
            self._process.wait(timeout=_STARTED_WITHIN)
            self._process = None

    def log(self) -> str:
        return (self.directory / "server.log").read_text(errors="replace")

    def database(self) -> str:
        """The URL of a new and empty database."""
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _install(self, *command: str) -> None:
        done = subprocess.run(
            command, user=self._user, cwd=self.directory, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


class PostgresServer(DatabaseServer):
    _stop_signal = signal.SIGINT  # without waiting for clients

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._postgres = _program("postgres")
        secret = directory / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._install(
            _program("initdb"), "-D", str(directory / "data"), "-U", "tester", "-E", "UTF8", "--no-locale", "--no-sync",
            "--auth=scram-sha-256", f"--pwfile={secret}",
        )  # fmt: skip

    def _command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "timezone": "Asia/Shanghai",  # nothing may depend on it
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._postgres, "-D", str(self.directory / "data"), *options]

    def _connect(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="tester", password=PASSWORD, dbname=name, autocommit=True
        )

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def database(self) -> str:
        name = f"test_{uuid4().hex}"
        with self._connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql://tester:{PASSWORD}@127.0.0.1:{self.port}/{name}"


class MariadbServer(DatabaseServer):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._mariadbd = _program("mariadbd", "mysqld")
        user = [f"--user={self._user}"] if self._user else []
        self._install(
            _program("mariadb-install-db", "mysql_install_db"), "--no-defaults", f"--datadir={directory / 'data'}",
            "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", *user,
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [
            self._mariadbd, "--no-defaults", f"--datadir={self.directory / 'data'}", f"--port={self.port}",
            "--bind-address=127.0.0.1", f"--socket={self.directory / 'socket'}", "--skip-name-resolve",
            f"--pid-file={self.directory / 'pid'}", "--innodb-flush-log-at-trx-commit=0", "--default-time-zone=+08:00",
            "--character-set-server=latin1",  # as many servers are set up; the tables must not depend on it
        ]  # fmt: skip

    def _connect(self) -> pymysql.Connection[pymysql.cursors.Cursor]:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root")

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.OperationalError:
            return False
        return True

    def database(self) -> str:
        name = f"test_{uuid4().hex}"
        connection = self._connect()
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            cursor.execute(f"GRANT ALL ON {name}.* TO 'tester'@'%' IDENTIFIED BY '{PASSWORD}'")
        connection.close()
        return f"mysql://tester:{PASSWORD}@127.0.0.1:{self.port}/{name}"
