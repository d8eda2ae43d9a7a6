"""Runs of digits, found in one vectorised pass, and groups of them with separators."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.reaches import is_digit, is_letter
from services.runtime.deid.recognisers.forms import Forms

MARGIN = 64
"""Bytes that a margined content has before its first and after its last."""


class Runs:
    """Maximal runs of ASCII digits: offsets of their starts and ends, and how many digits each has."""

    def __init__(self, starts: Offsets, ends: Offsets) -> None:
        self.starts, self.ends = starts, ends
        self.digits = ends - starts

    @classmethod
    def of(cls, content: Bytes) -> Runs:
        is_digit = np.zeros(len(content) + 2, dtype=np.bool_)
        np.less(content - np.uint8(ord("0")), 10, out=is_digit[1:-1])
        edges = np.flatnonzero(is_digit[1:] != is_digit[:-1])
        return cls(edges[::2], edges[1::2])


def with_margins(content: Bytes) -> Bytes:
    """A copy between zeros, so that looking around needs no care at its edges; offsets grow by MARGIN."""
    wide = np.zeros(len(content) + 2 * MARGIN, dtype=np.uint8)
    wide[MARGIN : MARGIN + len(content)] = content
    return wide


class Groups:
    """The runs of a margined content together with what stands between them."""

    def __init__(self, content: Bytes, runs: Runs, forms: Forms) -> None:
        self.content, self.forms = content, forms
        self.starts, self.ends, self.n = runs.starts + MARGIN, runs.ends + MARGIN, runs.digits
        count = len(self.starts)
        self.link = np.zeros(count + 8, dtype=np.uint8)
        if count > 1:
            gap = self.starts[1:] - self.ends[:-1]
            between = content[self.ends[:-1]]
            paren = (gap == 2) & (between == ord(")")) & (content[self.ends[:-1] + 1] == ord(" "))
            self.link[: count - 1] = np.where(gap == 1, between, np.where(paren, ord(")"), 0))
        self.width = np.zeros(count + 8, dtype=np.int64)
        self.width[:count] = self.n
        self._by_width: dict[int, Offsets] = {}
        self._places: dict[str, Offsets] = {}
        self.before = content[self.starts - 1]
        self.after = content[self.ends]
        self.letter_before = is_letter(self.before)
        self.letter_after = is_letter(self.after)
        # Digits right before a point, or right after one, are part of a decimal number or of an address.
        self.fraction = (self.before == ord(".")) & is_digit(content[self.starts - 2])
        self.fraction |= (self.after == ord(".")) & is_digit(content[self.ends + 1])

    def places(self, character: str) -> Offsets:
        """Where one character of ASCII stands."""
        if character not in self._places:
            self._places[character] = np.flatnonzero(self.content == ord(character))
        return self._places[character]

    def of_width(self, n: int) -> Offsets:
        """The runs of n digits."""
        if n not in self._by_width:
            self._by_width[n] = np.flatnonzero(self.n == n)
        return self._by_width[n]

    def linked_before(self, first: Offsets) -> Bytes:
        return np.where(first > 0, self.link[np.maximum(first - 1, 0)], 0).astype(np.uint8)

    def shaped(self, widths: Sequence[int], links: bytes) -> Offsets:
        """The first run of each group of runs of these widths, joined by one and the same of `links`."""
        first = self.of_width(widths[0])
        same = self.link[first]
        kept = one_of(links)[same]
        for index, width in enumerate(widths[1:], start=1):
            kept &= (self.width[first + index] == width) & (self.link[first + index - 1] == same)
        return first[kept]

    def alone(self, first: Offsets, count: int) -> Flags:
        """The group is not joined to yet another run in the way in which its own are."""
        same = self.link[first]
        after = self.link[first + count - 1]
        alone: Flags = (self.linked_before(first) != same) & (after != same)
        return alone

    def rows(self, first: Offsets, widths: Sequence[int]) -> NDArray[np.uint8]:
        """The digits of groups of equal shape, N x n."""
        columns = [self.starts[first + i][:, None] + np.arange(width) for i, width in enumerate(widths)]
        rows: NDArray[np.uint8] = self.content[np.concatenate(columns, axis=1)] - np.uint8(48)
        return rows

    def digit(self, first: Offsets, place: int) -> Bytes:
        found: Bytes = self.content[self.starts[first] + place] - np.uint8(48)
        return found


@cache
def one_of(links: bytes) -> Flags:
    table = np.zeros(256, dtype=np.bool_)
    table[np.frombuffer(links, dtype=np.uint8)] = True
    return table


def number(rows: NDArray[np.uint8], first: int, last: int) -> Offsets:
    value = np.zeros(len(rows), dtype=np.int64)
    for column in range(first, last):
        value = value * 10 + rows[:, column]
    return value


def among(codes: Offsets, values: Offsets) -> Flags:
    """Which of the values the ascending codes have."""
    found: Flags = codes[np.minimum(np.searchsorted(codes, values), len(codes) - 1)] == values
    return found


def penalty(groups: Groups, first: Offsets, last: Offsets, letters: float) -> Any:
    """What letters right beside digits, and a decimal point, take from a score."""
    beside = groups.letter_before[first] | groups.letter_after[last]
    return letters * beside + 0.35 * (groups.fraction[first] | groups.fraction[last])
