"""Children that outlive the service: launched at most once by one wrapper, found again by what it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec


class Reason(NamedTuple):
    """One sentence in Chinese and in English."""

    zh: str
    en: str


class LaunchFailed(Exception):
    """There is nothing to run, or nothing to run it in; `reason` names the cause."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(zh)
        self.reason = Reason(zh, en)


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
    """`exit_code` as a shell gives it; `refused` says why there was nothing to run, where that was so.

    `out_of_memory`: the command was killed while the kernel killed processes of its memory cgroup for memory.
    """

    exit_code: int
    refused: Reason | None = None
    out_of_memory: bool = False


class Lost(msgspec.Struct, frozen=True):
    """Gone without an exit code: killed together with its wrapper, or the host or container restarted."""


State = NeverStarted | Starting | Running | Ended | Lost
