"""Kinds of settings, and how a setting is refused."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Text = Annotated[str, Meta(min_length=1)]


# A host as a URL spells it, with or without a port.
_HOST = re.compile(r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class SettingRefused(Exception):
    """A setting that cannot be used. The text is one sentence for the user that names it and holds no secret."""


def hosts(text: str | None) -> tuple[str, ...]:
    """Of `name,name:port,…`. Raises SettingRefused."""
    found = tuple(host for part in (text or "").split(",") if (host := part.strip()))
    for host in found:
        if not _HOST.fullmatch(host):
            raise SettingRefused(
                f"TRAINLEDGER_ALLOWED_HOSTS has {host!r}, but must be like ledger.example.com,gpu-1:8443: "
                "each a name or an address, with a port or without, and no more of a URL."
            )
    return found
