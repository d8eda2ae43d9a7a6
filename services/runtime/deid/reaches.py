"""Sets of characters, how far they reach from a place, and what stands at many places."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets


@cache
def among_bytes(characters: str) -> Flags:
    """By byte, whether it is one of these."""
    table = np.zeros(256, dtype=np.bool_)
    table[np.frombuffer(characters.encode(), dtype=np.uint8)] = True
    return table


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
ALNUM = among_bytes("0123456789" + LETTERS)
HEX = among_bytes("0123456789abcdefABCDEF")


def is_digit(characters: Bytes) -> Flags:
    digits: Flags = (characters - np.uint8(ord("0"))) < 10
    return digits


def is_letter(characters: Bytes) -> Flags:
    letters: Flags = ((characters | np.uint8(0x20)) - np.uint8(ord("a"))) < 26
    return letters


def is_alphanumeric(characters: Bytes) -> Flags:
    return is_letter(characters) | is_digit(characters)


def windows(content: Bytes, starts: Offsets, n: int) -> Bytes:
    """The n bytes from each start on, N x n; all of them are the content's."""
    found: Bytes = _items(content, n)[starts].view(np.uint8).reshape(-1, n)
    return found


def put(content: Bytes, starts: Offsets, rows: Bytes) -> None:
    """Writes rows (N x n) over the n bytes from each start on."""
    n = rows.shape[1]
    _items(content, n)[starts] = np.ascontiguousarray(rows).view(f"V{n}")[:, 0]


def _items(content: Bytes, n: int) -> np.ndarray[tuple[int], Any]:
    """All stretches of n bytes, overlapping: numpy copies such items many times as fast as byte by byte."""
    return np.ndarray((len(content) - n + 1,), dtype=f"V{n}", buffer=content, strides=(1,))


def reach(content: Bytes, at: Offsets, table: Flags, most: int, *, back: bool = False) -> Offsets:
    """How many bytes of the table's follow each offset (or come before it, with `back`), up to `most`."""
    found: Offsets
    if len(at) * most > len(content):  # then one look at every byte is less than a window for each
        stops = np.flatnonzero(~table[content])
        following = np.searchsorted(stops, at)
        before, after = stops[np.maximum(following - 1, 0)], np.append(stops, len(content))[following]
        found = np.minimum(at - 1 - before if back else after - at, most)
        return found
    steps = np.arange(most)
    places = at[:, None] - 1 - steps if back else at[:, None] + steps
    inside = table[content[np.clip(places, 0, len(content) - 1)]]
    found = np.where(inside.all(axis=1), most, np.argmin(inside, axis=1))
    return found


def stretches(content: Bytes, at: Offsets, table: Flags) -> tuple[Offsets, Offsets]:
    """The longest stretches of the table's bytes around these places, each once: starts and ends."""
    stops = np.flatnonzero(~table[content])
    following = np.unique(np.searchsorted(stops, at))
    return stops[np.maximum(following - 1, 0)] + 1, np.append(stops, len(content))[following]
