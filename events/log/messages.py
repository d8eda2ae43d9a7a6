"""Messages as they go to a log and as they come back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message to append. `id` is also its `ce-id` header: by it a lost acknowledgement is settled."""

    subject: str
    id: str
    headers: dict[str, str]
    body: bytes


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A message of a log. `stored_at` is UTC, cut to microseconds."""

    position: int
    subject: str
    headers: Mapping[str, str]
    body: bytes
    stored_at: datetime


class Write(msgspec.Struct, frozen=True, gc=False):
    """Messages of one subject, to follow its message at position `expected` (0: to be its first)."""

    subject: str
    expected: int
    messages: tuple[Outgoing, ...]
