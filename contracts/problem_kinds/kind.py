"""What each kind of problem is made of."""

from __future__ import annotations

import msgspec


class ProblemKind(msgspec.Struct, frozen=True):
    """A stable code's HTTP status and its sentence in both languages (`str.format` fields)."""

    status: int
    zh: str
    en: str
