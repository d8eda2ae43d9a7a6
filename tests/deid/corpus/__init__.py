"""Texts whose personal data is known, to measure by."""

from __future__ import annotations

from typing import NamedTuple


class Truth(NamedTuple):
    """A type and where it stands, in characters."""

    type: str
    start: int
    end: int


class Sample(NamedTuple):
    text: str
    truths: tuple[Truth, ...]
    format: str = "text"
