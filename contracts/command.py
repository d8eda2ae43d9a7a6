"""The base of every command."""

from __future__ import annotations

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something a caller asks for. Its wire name is its class name; a misspelt field is an error."""
