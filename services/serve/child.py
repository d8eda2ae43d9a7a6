"""A child process: started waiting, released with its settings, restarted when it dies, ended for certain."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from services import python_path
from services.runtime.processes import Arguments

_STEADY = 30.0  # seconds after which a process is not in a loop of crashes
_LONGEST_BACK_OFF = 10.0


class Child:
    """`trainledger <command> --supervised --data-dir D`: it imports at once, and begins when it reads its settings.

    The pipe to its stdin is also its lifeline: it ends when this process dies, whatever of.
    """

    def __init__(self, command: str, data_dir: Path) -> None:
        self.command = command
        self._data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: bytes | None = None
        self._started = 0.0
        self._starts = 0
        self.failures = 0  # in a row
        self._restart_at: float | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        environment = dict(os.environ)
        options = ["-X", "utf8"]
        if sys.flags.isolated:
            options.append("-I")
        else:
            environment["PYTHONPATH"] = python_path()
        self._started, self._restart_at = time.monotonic(), None
        self._starts += 1
        self._process = subprocess.Popen(
            [sys.executable, *options, "-m", "services.cli", *_own_arguments(self.command, self._data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
            process_group=0,  # the terminal's signals are for the parent to act on
        )
        if self._settings is not None:
            self.release(self._settings)

    def release(self, settings: bytes) -> None:
        """Lets the process begin, and every later one in its place."""
        self._settings = settings
        assert self._process is not None, "start comes first"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(settings)
        except BrokenPipeError:
            return  # it has died already, and its exit code says more

    def exit_code(self) -> int | None:
        """The code of a process that has ended, negative for a signal; none while it runs or waits for its restart."""
        return None if self._process is None else self._process.poll()

    def last_words(self) -> str:
        """Why a process that has ended could not serve; empty where it did not say."""
        if self._process is None or self._process.stdout is None:
            return ""
        return self._process.stdout.read().decode(errors="replace").strip()

    def restart_when_due(self) -> float | None:
        """Call it once the process has ended, and again: seconds until the restart, none when that has happened."""
        now = time.monotonic()
        if self._restart_at is None:
            self.failures = 0 if now - self._started > _STEADY else self.failures + 1
            self._restart_at = now + min(_LONGEST_BACK_OFF, 0.1 * 2 ** (self.failures - 1) if self.failures else 0.0)
        if now < self._restart_at:
            return self._restart_at - now
        self._close_pipes()
        self.start()
        return None

    @property
    def waits_for_restart(self) -> bool:
        return self._restart_at is not None

    @property
    def is_new(self) -> bool:
        """Whether it has never run steadily nor been restarted."""
        return self._starts == 1 and time.monotonic() - self._started < _STEADY

    def terminate(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _close_pipes(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()


def is_child_of(data_dir: Path, arguments: Arguments) -> bool:
    """Whether that is the command line of a child that `serve` started for this data directory."""
    return any(
        arguments[-len(own) :] == own and "services.cli" in arguments
        for own in (_own_arguments(command, data_dir) for command in ("edge", "workers", "prepare"))
    )


def _own_arguments(command: str, data_dir: Path) -> Arguments:
    return (command, "--supervised", "--data-dir", str(data_dir))
