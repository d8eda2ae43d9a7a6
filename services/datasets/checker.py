"""Has files looked into by processes of their own, which a hostile one can hurt and nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec

from services import python_path
from services.datasets.checking.child import UNREADABLE, Task
from services.datasets.checking.findings import Verdict, invalid
from services.datasets.checking.limits import MIB
from services.runtime import piped

_ATTEMPTS = 2
_STARTED = 1.0  # seconds on the processor that a check takes before it has read anything, with a wide margin

_log = logging.getLogger(__name__)


class FileUnreadable(Exception):
    """The file is not there, or the disk does not give it: nothing can be said of what is in it."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one check may cost.

    `memory` in bytes. On the processor `seconds`, and as many more as the file takes at `bytes_per_second`, which every
    file that is what it seems is read faster than; on the clock `patience` times that, as the machine has other work.
    """

    memory: int = 1024 * MIB
    seconds: float = 60.0
    bytes_per_second: float = 0.5 * MIB
    patience: float = 20.0

    def processor_seconds(self, size: int) -> int:
        return int(_STARTED + self.seconds + size / self.bytes_per_second)


class Checker:
    """Looks into one file a call."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()

    async def __call__(self, path: Path, name: str, sha256: str | None = None) -> Verdict:
        """`sha256` (hex) is what the file has to have. Cancelling it ends the process. Raises FileUnreadable."""
        for attempt in range(1, _ATTEMPTS + 1):
            verdict = await self._look(path, name, sha256)
            if verdict is not None:
                return verdict
            _log.warning("the process that checks %s died (attempt %d)", path.name, attempt)
        return invalid(None, "check_crashed")

    async def _look(self, path: Path, name: str, sha256: str | None) -> Verdict | None:
        """None where the process died of something that may have had nothing to do with the file."""
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
        except OSError as error:
            raise FileUnreadable(str(error)) from error
        seconds = self._bounds.processor_seconds(size)
        task = Task(path=str(path), name=name, sha256=sha256, memory=self._bounds.memory, seconds=seconds)
        process = await piped.start(*_command(), env=_environment(), stderr=asyncio.subprocess.DEVNULL)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(seconds * self._bounds.patience):
                process.stdin.write(msgspec.json.encode(task) + b"\n")  # and left open: it is the child's lifeline
                answer = await process.stdout.read()
                code = await process.wait()
        except TimeoutError:
            return invalid(None, "too_slow")
        finally:
            if process.returncode is None:
                await piped.end(process)
            process.stdin.close()
        if code == UNREADABLE:
            raise FileUnreadable(f"{path.name} cannot be read")
        if code == -signal.SIGXCPU:
            return invalid(None, "too_slow")
        return msgspec.json.decode(answer, type=Verdict) if code == 0 and answer else None


def _command() -> list[str]:
    options = ["-I"] if sys.flags.isolated else []
    return [sys.executable, "-X", "utf8", *options, "-m", "services.datasets.checking.child"]


def _environment() -> dict[str, str]:
    """No settings and no secrets."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": python_path(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "OMP_NUM_THREADS": "1",
    }
