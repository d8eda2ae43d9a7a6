"""Which hosts and origins are answered: a page of another site must not reach a loopback server (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from contracts.problems import Refused

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class HostGuard:
    """Answers requests whose `Host` names this machine, and pages that were loaded from the very host they ask.

    The name decides and not the port, since a tunnel (`ssh -L 9000:localhost:8000`) changes the port. `bound`
    is the address that is listened on; `extra` are further hosts, as `name` or `name:port`, of a proxy in front.
    """

    def __init__(self, extra: Iterable[str] = (), bound: str = "localhost") -> None:
        self._names = frozenset({*_LOOPBACK, (f"[{bound}]" if ":" in bound else bound).lower()})
        self._extra = frozenset(host.lower() for host in extra)
        self._known = lru_cache(maxsize=256)(self._decide)

    def check(self, host: bytes | None, origin: bytes | None) -> None:
        """Raises Refused."""
        if (value := self._known(host, origin)) is not None:
            raise Refused("foreign_host", value=value)

    def _decide(self, host: bytes | None, origin: bytes | None) -> str | None:
        """What is foreign, none where nothing is."""
        authority = (host or b"").decode("latin-1").lower()
        if not self._is_ours(authority):
            return authority or "-"
        if origin is None:
            return None
        scheme, separator, source = origin.decode("latin-1").lower().partition("://")
        same = separator and scheme in ("http", "https") and (source == authority or self._is_extra(source))
        return None if same else origin.decode("latin-1")

    def _is_ours(self, authority: str) -> bool:
        name, port = _split(authority)
        return (name in self._names and (not port or port.isdecimal())) or self._is_extra(authority)

    def _is_extra(self, authority: str) -> bool:
        return authority in self._extra or _split(authority)[0] in self._extra


def _split(authority: str) -> tuple[str, str]:
    if authority.endswith("]"):
        return authority, ""
    name, separator, port = authority.rpartition(":")
    return (name, port) if separator else (authority, "")
