"""Addresses of this machine that something listens on."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address

from services.runtime.settings.kinds import SettingRefused

_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here


def bound(host: str, port: int, setting: str) -> socket.socket:
    """A socket that is bound there; 0 is any port.

    Raises SettingRefused, naming the setting, where the host is no address of this machine, else OSError.
    """
    refused = SettingRefused(f"{setting} is {host!r}, which is no address of this machine.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:  # the latter of a name that no DNS can hold
        raise refused from error
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: one that has ended is gone
        made.bind(address)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise refused from error
        raise
    return made


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_any(host: str) -> bool:
    """Whether whoever listens on it does so on all addresses."""
    return host in _ANY


def reachable(host: str) -> str:
    """Where whoever listens on `host` is reached from this machine."""
    return _ANY.get(host, host)


def in_url(host: str) -> str:
    """As a URL spells it."""
    return f"[{host}]" if ":" in host else host
