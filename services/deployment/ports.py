"""Ports of this machine: whether one is free, and whose server listens on one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from services.deployment.attempts import Attempt
from services.runtime.addresses import bound
from services.runtime.children import host, processes, wrapped
from services.runtime.settings.kinds import SettingRefused

_PROC = Path("/proc")
_LISTENS = "0A"  # TCP_LISTEN, as /proc/net/tcp spells it
# They listen on behalf of others, also of what began later than they did: containers and tunnels.
_FORWARDERS = ("rootlesskit", "rootlessport", "slirp4netns", "pasta", "passt", "ssh")


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    try:
        bound(host, port, "TRAINLEDGER_DEPLOY_HOST").close()
    except (OSError, SettingRefused):
        return False
    return True


def free_ports(host: str, ports: Iterable[int]) -> tuple[int, ...]:
    return tuple(port for port in ports if is_free(host, port))


def is_anothers(attempt: Attempt, port: int) -> bool:
    """Whether a stranger listens in the place of the attempt's server.

    Mostly the command itself listens, which costs no look at all processes to find out.
    """
    sockets = listening(port)
    command = wrapped.command_identity(attempt)
    if not sockets or command is None or holds(command.pid, sockets):
        return False
    return strangers_listen(sockets, [identity.pid for identity in host.members(attempt)], command.start)


def strangers_listen(sockets: set[str], members: Iterable[int], since: int) -> bool:
    """Whether one of the sockets is certainly a stranger's, and none is a member's.

    `since` is when the server was started, in clock ticks since boot. Whatever began later may serve in its name: the
    engine that publishes a container's port, a worker in a session of its own with its environment overwritten. So may
    processes that do not show what they have open.
    """
    if any(holds(pid, sockets) for pid in members):
        return False
    for entry in os.listdir(_PROC):  # noqa: PTH208
        if not entry.isdigit() or not holds(pid := int(entry), sockets):
            continue
        if (holder := processes.identity_of(pid)) is not None and holder.start < since and not _forwards(pid):
            return True
    return False


def _forwards(pid: int) -> bool:
    try:
        return (_PROC / str(pid) / "comm").read_text().strip() in _FORWARDERS
    except OSError:
        return False


def listening(port: int) -> set[str]:
    """The listening sockets of a port, as links in /proc/PID/fd spell them."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def holds(pid: int, sockets: set[str]) -> bool:
    """Whether the process has one of these sockets open; false where it does not show."""
    try:
        with os.scandir(_PROC / str(pid) / "fd") as entries:
            return any(os.readlink(entry.path) in sockets for entry in entries)  # noqa: PTH115
    except OSError:
        return False
