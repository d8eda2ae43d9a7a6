"""Looks into one file in a process of its own: `python -m services.datasets.checking.child`, a Task on stdin."""

from __future__ import annotations

import gc
import hashlib
import os
import resource
import sys
import threading
from pathlib import Path

import msgspec

from services.datasets.checking.findings import invalid

UNREADABLE = 4  # exit code


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`memory` bounds the process's data in bytes, `seconds` its time on the processor.

    `sha256` (hex) is what the bytes have to have, none where anything will do.
    """

    path: str
    name: str
    sha256: str | None
    memory: int
    seconds: int


def main() -> int:
    """The verdict goes to stdout, as JSON. The end of stdin means that nobody waits for it any more."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _confine(task)
    # Imported within the bounds, as is all that it imports.
    from services.datasets.checking.check import check_file

    gc.freeze()
    try:
        verdict = check_file(Path(task.path), task.name) if _is_as_uploaded(task) else invalid(None, "altered")
    except MemoryError:
        verdict = invalid(None, "too_much_memory")
    except OSError as error:
        print(f"the file cannot be read: {error.strerror}", file=sys.stderr)
        return UNREADABLE
    sys.stdout.buffer.write(msgspec.json.encode(verdict))
    return 0


def _is_as_uploaded(task: Task) -> bool:
    """Bytes that a disk or somebody changed since are not what the ledger tells of. OSError."""
    if task.sha256 is None:
        return True
    with Path(task.path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == task.sha256


def _confine(task: Task) -> None:
    os.nice(10)
    for kind, soft, hard in (
        (resource.RLIMIT_DATA, task.memory, task.memory),
        (resource.RLIMIT_CPU, task.seconds, task.seconds + 5),  # SIGXCPU tells it from other kills
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        most = resource.getrlimit(kind)[1]
        bounds = (soft, hard) if most == resource.RLIM_INFINITY else (min(soft, most), min(hard, most))
        resource.setrlimit(kind, bounds)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
