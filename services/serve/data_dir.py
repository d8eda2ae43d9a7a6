"""What a data directory needs before anything starts: one owner, and something to train on."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from services.runtime import processes
from services.runtime.children.processes import Identity, alive
from services.runtime.handover import ensure_directories, make_directory
from services.runtime.nats.embedded import EmbeddedNats
from services.runtime.settings import SettingRefused, Settings
from services.runtime.told_command import told_command
from services.runtime.training_directory import training_directory
from services.serve.child import is_child_of


class Lock:
    """Held by the one process that serves a data directory; the kernel gives it back when that process dies."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = data_dir / "lock"
        self._descriptor = -1

    def take(self) -> None:
        """Raises SettingRefused where another process holds it."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + 0.5  # `holder`, asked elsewhere, holds it for a moment
        while not self._taken():
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            holder = self.holder()
            raise SettingRefused(
                f"TrainLedger already serves the data directory {self._data_dir}"
                f"{f' (process {holder})' if holder else ''}; stop it with {told_command('stop', self._data_dir)}, "
                "or choose another directory with --data-dir or TRAINLEDGER_DATA_DIR."
            )
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def holder(self) -> int | None:
        """The process that holds the lock; none where nobody does."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            return int(text) if text.isdigit() else None
        else:
            return None
        finally:
            os.close(descriptor)

    def wait_free(self, seconds: float) -> bool:
        """Whether nobody holds the lock any more within that time."""
        deadline = time.monotonic() + seconds
        while self.holder() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def prepared(settings: Settings) -> Settings:
    """Makes the directories that the settings name, and says where trainings find their data. Raises SettingRefused."""
    ensure_directories(settings)
    make_directory(settings.data_dir / "runs", "TRAINLEDGER_DATA_DIR")
    return msgspec.structs.replace(settings, host_training_dir=training_directory(settings))


def running_trainings(data_dir: Path) -> list[str]:
    """Ids of the runs whose training process lives on this machine."""
    return _running(data_dir / "runs")


def running_deployments(data_dir: Path) -> list[str]:
    """Ids of the deployments whose server's process lives on this machine."""
    return _running(data_dir / "deployments")


def _running(directory: Path) -> list[str]:
    """By what the wrapper of each child left.

    `<directory>/<id>/<attempt>/pid` holds the identity of its process, or nothing after a power cut.
    """
    running = []
    for pid_file in sorted(directory.glob("*/*/pid")):
        if (pid_file.parent / "exit").exists():
            continue
        with suppress(ValueError):
            if alive(Identity.parse(pid_file.read_text())):
                running.append(pid_file.parent.parent.name)
    return running


def end_left_behind(settings: Settings) -> list[int]:
    """Ends what of the service itself outlived its `serve`, and returns the pids. The caller holds the lock."""
    children = processes.end_all(lambda arguments: is_child_of(settings.data_dir, arguments), settings.stop_seconds)
    return children + EmbeddedNats(settings.data_dir).end_left_behind()


def stop(settings: Settings) -> int:
    """Ends the `serve` of this data directory, as Ctrl-C does, and what one left behind; waits. The exit code."""
    lock = Lock(settings.data_dir)
    holder = lock.holder()
    if holder is not None:
        found = processes.hold(holder)
        if found is not None and lock.holder() == holder:  # so it is the process that we hold
            found.send(signal.SIGTERM)
            if not lock.wait_free(2 * settings.stop_seconds + 15):
                print(f"Process {holder} does not end.", file=sys.stderr)
                return 1
    left = []
    if os.access(settings.data_dir / "lock", os.W_OK):  # or nothing was served here, or not by this user
        lock.take()
        try:
            left = end_left_behind(settings)
        except TimeoutError as error:
            print(f"{error}.".capitalize(), file=sys.stderr)
            return 1
        finally:
            lock.release()
    if holder is None and not left:
        print(f"TrainLedger does not serve {settings.data_dir}.")
    else:
        print(f"TrainLedger no longer serves {settings.data_dir}.")
    return 0
