"""Children that outlive the service: launched at most once by one wrapper, found again by what it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec


class LaunchFailed(Exception):
    """There is nothing to run, or nothing to run it in. Its text is a Chinese sentence that names the cause.

    `english` says the same, where it is told to the service's operators too.
    """

    def __init__(self, text: str, english: str = "") -> None:
        super().__init__(text)
        self.english = english or text


class Unreachable(Exception):
    """What would know or do it does not answer; ask again later."""


class Child(Protocol):
    """What is launched at most once.

    `directory` on this host is its alone. `mark` is `NAME=VALUE`, no other child's: it is in the environment of
    everything that the child starts, so that what left its session is found too.
    """

    @property
    def directory(self) -> Path: ...

    @property
    def mark(self) -> str: ...


class NeverStarted(msgspec.Struct, frozen=True):
    """Nothing was launched here."""


class Starting(msgspec.Struct, frozen=True):
    """Launched, and the command is not there yet."""


class Running(msgspec.Struct, frozen=True):
    """The command runs, or its exit code is about to be written."""


class Ended(msgspec.Struct, frozen=True):
    """`exit_code` as a shell gives it; `refused` says in Chinese why there was nothing to run, where that was so.

    `out_of_memory`: the command was killed while the kernel killed processes of its memory cgroup for memory.
    """

    exit_code: int
    refused: str | None = None
    out_of_memory: bool = False


class Lost(msgspec.Struct, frozen=True):
    """Gone without an exit code: killed together with its wrapper, or the host or container restarted."""


State = NeverStarted | Starting | Running | Ended | Lost
