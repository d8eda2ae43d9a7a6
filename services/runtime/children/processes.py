"""Processes of this host by their identity, so that a reused pid is never taken for the process that had it."""

from __future__ import annotations

import os
import signal
from functools import cache
from pathlib import Path

import msgspec

_PROC = Path("/proc")


class Identity(msgspec.Struct, frozen=True):
    """`start` is the process's start time in clock ticks since boot, as /proc gives it."""

    pid: int
    start: int
    boot: str

    @classmethod
    def parse(cls, text: str) -> Identity:
        """From `pid start boot`; ValueError where it is anything else."""
        pid, start, boot = text.split()
        return cls(int(pid), int(start), boot)


class _Stat(msgspec.Struct, frozen=True):
    state: str
    group: int
    session: int
    start: int


@cache
def boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def identity_of(pid: int) -> Identity | None:
    """Of whatever has that pid now, none where nothing has."""
    stat = _stat(pid)
    return None if stat is None else Identity(pid, stat.start, boot_id())


def _stat(pid: int) -> _Stat | None:
    try:
        raw = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The command's name may hold spaces, parentheses and newlines: what follows the last parenthesis is safe.
    fields = raw.rpartition(b")")[2].split()
    return _Stat(fields[0].decode(), int(fields[2]), int(fields[3]), int(fields[19]))


def _dead(stat: _Stat) -> bool:
    return stat.state in "ZX"


def alive(identity: Identity) -> bool:
    """A zombie is dead, and so is a process whose pid belongs to another one now."""
    stat = _stat(identity.pid)
    return stat is not None and stat.start == identity.start and identity.boot == boot_id() and not _dead(stat)


def members(mark: str, leader: Identity | None) -> set[Identity]:
    """Every living process that has the mark in its environment or belongs to the leader's session or group.

    Once the leader's pid is another process's, its number means nothing and only the mark counts.
    """
    here = boot_id()
    sought = mark.encode()
    number = None
    if leader is not None and leader.boot == here:
        holder = _stat(leader.pid)
        if holder is None or holder.start == leader.start:
            number = leader.pid
    found = set()
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        stat = _stat(pid)
        if stat is None or _dead(stat):
            continue
        if (number is not None and number in (stat.session, stat.group)) or sought in _environment(pid):
            found.add(Identity(pid, stat.start, here))
    return found


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []  # gone, or another user's


def send(identity: Identity, number: signal.Signals) -> bool:
    """Whether the signal reached that very process: the descriptor is taken first, the identity checked after."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return False
    try:
        if not alive(identity):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):  # gone, or another user's by now
        return False
    finally:
        os.close(descriptor)
    return True
