"""Which of the media types that a route offers a request prefers (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=256)
def preferred(accept: str, offered: Sequence[str]) -> str:
    """The first of those with the highest quality; the first at all where none is acceptable."""
    best, quality = offered[0], 0.0
    for media in offered:
        found = _quality(media, accept)
        if found > quality:
            best, quality = media, found
    return best


def _quality(media: str, accept: str) -> float:
    """The most specific range decides."""
    ranges = {media: 2, media.partition("/")[0] + "/*": 1, "*/*": 0}
    specific, quality = -1, 0.0
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if ranges.get(name, -1) > specific:
            specific, quality = ranges[name], _q(parameters)
    return quality


def _q(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
