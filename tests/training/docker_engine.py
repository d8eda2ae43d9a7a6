"""A real Docker engine of the tests' own, with an image made by `docker import`."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

IMAGE = "trainledger-test:latest"
_STARTED_WITHIN = 60.0


class DoesNotStart(Exception):
    """The engine's last words."""


def missing() -> str | None:
    """Why there can be no engine here, none where there can."""
    if os.geteuid() != 0:
        return "a Docker engine can be started by root only"
    for program in ("dockerd", "containerd"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: docker.io)"
    return None


class DockerEngine:
    """`url` stays the same over restarts; nothing of it is shared with another engine of this machine."""

    def __init__(self) -> None:
        # Unix sockets have short paths.
        self.directory = Path(tempfile.mkdtemp(prefix="tl-docker-", dir="/tmp"))
        self.url = f"unix://{self.directory}/docker.sock"
        self._containerd: subprocess.Popen[bytes] | None = None
        self._dockerd: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the engine answers. Raises DoesNotStart where this machine does not let it."""
        d = self.directory
        containerd = f"{d}/containerd.sock"
        if self._containerd is None:
            (d / "containerd.toml").write_text("version = 2\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n")
            self._containerd = self._spawn(
                "containerd", "--config", d / "containerd.toml", "--address", containerd,
                "--root", d / "containerd", "--state", d / "containerd-state",
            )  # fmt: skip
            self._wait(self._containerd, lambda: Path(containerd).exists())
        self._dockerd = self._spawn(
            "dockerd", "--host", self.url, "--containerd", containerd, "--data-root", d / "data",
            "--exec-root", d / "exec", "--pidfile", d / "pid", "--storage-driver=vfs", "--live-restore",
            "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none",
        )  # fmt: skip
        self._wait(self._dockerd, self._answers)

    def kill(self) -> None:
        """The engine alone; with live-restore its containers run on."""
        assert self._dockerd is not None
        self._dockerd.kill()
        self._dockerd.wait()

    def stop(self) -> None:
        """Ends the engine and everything that ran in it."""
        if self._dockerd is not None and self._answers():
            with contextlib.closing(self.client()) as client:
                for container in client.containers.list(all=True):
                    container.remove(force=True)
        for process in (self._dockerd, self._containerd):
            if process is not None:
                process.terminate()
                process.wait(timeout=_STARTED_WITHIN)
        for mount in sorted(_mounts(self.directory), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _spawn(self, *command: str | Path) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def _wait(self, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _STARTED_WITHIN
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise DoesNotStart(self.log()[-600:])
            time.sleep(0.05)

    def client(self) -> Any:
        import docker

        return docker.DockerClient(base_url=self.url)

    def container(self, **options: Any) -> Any:
        """A container (of testcontainers) that sleeps, not started yet."""
        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # the reaper is an image that cannot be pulled
        from testcontainers.core.container import DockerContainer

        volumes = [(str(path), str(path), "ro") for path in read_only_volumes()] + options.pop("volumes", [])
        return DockerContainer(
            IMAGE,
            docker_client_kw={"environment": {"DOCKER_HOST": self.url}},
            volumes=volumes,
            network_mode="none",
            **options,
        ).with_command(["sleep", "100000"])

    def import_image(self) -> None:
        with contextlib.closing(self.client()) as client:
            client.api.import_image_from_data(_root_file_system(), repository="trainledger-test", tag="latest")

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking:
            try:
                asking.connect(self.url.removeprefix("unix://"))
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in asking.recv(100)
            except OSError:
                return False


def read_only_volumes() -> Iterator[Path]:
    """What of this host the image borrows, so that it need not be built: programs, libraries and the interpreter."""
    yield Path("/usr")
    for prefix in {Path(sys.base_prefix), Path(sys.prefix)}:
        if not prefix.is_relative_to("/usr"):
            yield prefix


def _root_file_system() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in ("dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755
            tar.addfile(entry)
        for name in ("bin", "lib", "lib64", "sbin"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(entry)
    return made.getvalue()


def _mounts(directory: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [fields[4] for line in lines if (fields := line.split())[4].startswith(f"{directory}/")]
