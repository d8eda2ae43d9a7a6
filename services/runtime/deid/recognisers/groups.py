"""Groups of runs of digits with separators between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Bytes, Flags, Offsets, Runs
from services.runtime.deid.reaches import among_bytes, is_digit, is_letter, windows
from services.runtime.deid.recognisers.forms import Forms

MARGIN = 64
"""Bytes that a margined content has before its first and after its last."""


class Groups:
    """The runs of a content together with what stands between them.

    `content` has a margin of zeros at both ends, so that looking around needs no care there, and offsets are by MARGIN
    larger; `searched` is the same as `bytes`. What `width` and `link` say of a run is 0 beyond the last one.
    """

    def __init__(self, content: Bytes, runs: Runs, forms: Forms) -> None:
        margin = bytes(MARGIN)
        self.searched = b"".join((margin, content.data, margin))
        self.content: Bytes = np.frombuffer(self.searched, dtype=np.uint8)
        self.forms = forms
        self.starts, self.ends, self.n = runs.starts + MARGIN, runs.ends + MARGIN, runs.digits
        count = len(self.starts)
        self.link = np.zeros(count + 8, dtype=np.uint8)
        if count > 1:
            gap = self.starts[1:] - self.ends[:-1]
            self.link[: count - 1] = np.where(gap == 1, self.content[self.ends[:-1]], 0)
            wide = np.flatnonzero((gap == 2) | (gap == 3))
            at = self.ends[wide][:, None] + np.arange(3)
            self.link[wide] = _wide_links(np.where(np.arange(3) < gap[wide][:, None], self.content[at], 0))
        self.width = np.zeros(count + 8, dtype=np.uint8)
        self.width[:count] = np.minimum(self.n, 255)
        self._by_width = np.argsort(self.width[:count], kind="stable")
        self._edges = np.append(0, np.cumsum(np.bincount(self.width[:count], minlength=256)))
        self._linked = np.flatnonzero(self.link)
        self._pairs = _pair(self.width[self._linked], self.width[self._linked + 1])
        self._places: dict[str, Offsets] = {}
        self.before = self.content[self.starts - 1]
        self.after = self.content[self.ends]
        self.letter_before = is_letter(self.before)
        self.letter_after = is_letter(self.after)
        # Digits right after a point, or right before one, are part of a decimal number or of an address; `.0` is how
        # a whole number is written as a float.
        self.after_point = (self.before == ord(".")) & is_digit(self.content[self.starts - 2])
        self.after_point[_items_of_lists(self)] = False
        self.before_point = (self.after == ord(".")) & is_digit(self.content[self.ends + 1])
        pointed = np.flatnonzero(self.before_point)
        beyond = self.content[self.ends[pointed][:, None] + np.arange(1, 4)]
        whole = (beyond[:, 0] == ord("0")) & ~is_digit(beyond[:, 1])
        self.before_point[pointed[whole & ~((beyond[:, 1] == ord(".")) & is_digit(beyond[:, 2]))]] = False

    def places(self, character: str) -> Offsets:
        """Where one character of ASCII stands."""
        if character not in self._places:
            there = character.encode() in self.searched
            self._places[character] = np.flatnonzero(self.content == ord(character)) if there else self.starts[:0]
        return self._places[character]

    def of_width(self, n: int) -> Offsets:
        """The runs of n digits, n below 255."""
        runs: Offsets = self._by_width[self._edges[n] : self._edges[n + 1]]
        return runs

    def linked(self, links: str) -> Offsets:
        """The runs that one of `links` joins to the next."""
        runs: Offsets = self._linked[among_bytes(links)[self.link[self._linked]]]
        return runs

    def linked_before(self, first: Offsets) -> Bytes:
        return np.where(first > 0, self.link[np.maximum(first - 1, 0)], 0).astype(np.uint8)

    def shaped(self, widths: Sequence[int], links: str) -> Offsets:
        """The first run of each group of runs of two widths or more, joined by one and the same of `links`."""
        first: Offsets = self._linked[self._pairs == widths[0] << 8 | widths[1]]
        if not len(first):
            return first
        first = first[among_bytes(links)[self.link[first]]]
        for index, width in enumerate(widths[2:], start=2):
            first = first[(self.width[first + index] == width) & (self.link[first + index - 1] == self.link[first])]
        return first

    def variously_linked(self, widths: Sequence[int], links: Sequence[str]) -> Offsets:
        """The same, joined by one of the first links, then one of the second, and so on."""
        first: Offsets = self._linked[self._pairs == widths[0] << 8 | widths[1]]
        first = first[among_bytes(links[0])[self.link[first]]]
        for index, (width, link) in enumerate(zip(widths[2:], links[1:], strict=True), start=2):
            first = first[(self.width[first + index] == width) & among_bytes(link)[self.link[first + index - 1]]]
        return first

    def of_digits(self, total: int, link: str) -> Iterator[tuple[tuple[int, ...], Offsets]]:
        """Groups of up to four runs that have so many digits and are joined to no other, by their widths."""
        first = self.linked(link)
        first = first[self.linked_before(first) != ord(link)]
        digits = self.width[first].astype(np.int64)
        for count in range(2, _MOST_RUNS + 1):
            goes_on = (self.link[first + count - 2] == ord(link)) & (digits < total)
            first, digits = first[goes_on], digits[goes_on] + self.width[first[goes_on] + count - 1]
            whole = first[(digits == total) & (self.link[first + count - 1] != ord(link))]
            widths = self.width[whole[:, None] + np.arange(count)]
            for shape in np.unique(widths, axis=0):
                yield tuple(shape.tolist()), whole[(widths == shape).all(axis=1)]

    def alone(self, first: Offsets, count: int) -> Flags:
        """The group is not joined to yet another run in the way in which its own are."""
        same = self.link[first]
        after = self.link[first + count - 1]
        alone: Flags = (self.linked_before(first) != same) & (after != same)
        return alone

    def share(self, first: Offsets, count: int) -> NDArray[np.float64]:
        """Of the row of runs that each group is joined to the part that these groups make up; little in a table."""
        found = np.ones(len(first))
        links = self.link[first]
        for link in np.unique(links).tolist():
            mine = np.flatnonzero(links == link)
            lasts = np.flatnonzero(self.link != link)  # of the rows that this link joins
            row = np.searchsorted(lasts, first[mine])
            runs = lasts[row] - np.where(row > 0, lasts[row - 1], -1)
            found[mine] = count * np.bincount(row)[row] / runs
        return found

    def beside_width(self, first: Offsets, count: int, width: int) -> Flags:
        """The group is joined to a run of so many digits in the way in which its own are."""
        same, last = self.link[first], first + count - 1
        before = (self.linked_before(first) == same) & (self.width[np.maximum(first - 1, 0)] == width)
        found: Flags = before | ((self.link[last] == same) & (self.width[last + 1] == width))
        return found

    def rows(self, first: Offsets, widths: Sequence[int]) -> Bytes:
        """The digits of groups of equal shape, N x n."""
        parts = [windows(self.content, self.starts[first + index], width) for index, width in enumerate(widths)]
        return (parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)) - np.uint8(48)

    def digit(self, first: Offsets, place: int) -> Bytes:
        found: Bytes = self.content[self.starts[first] + place] - np.uint8(48)
        return found


_MOST_RUNS = 4
_VALUES = (11, 17, 18, 19)
"""Digits of phones, of IDs with and without an X, and of cards, as few fractions have at a line's beginning."""


def _items_of_lists(groups: Groups) -> Offsets:
    """Of the runs after a point those after the number of an item: `1.13812345678` at a line's beginning."""
    runs = np.flatnonzero(groups.after_point)
    runs = runs[np.isin(groups.n[runs], _VALUES)]
    start = groups.starts[runs - 1]
    first, before = groups.content[start], windows(groups.content, start - 2, 2)
    begins = (before[:, 1] == 0) | (before[:, 1] == ord("\n")) | (before[:, 1] == ord('"'))
    begins |= (before == ord(" ")).all(axis=1)  # an escaped line break
    items: Offsets = runs[begins & (first > ord("0")) & (groups.n[runs - 1] <= 2)]
    return items


def _pair(one: Bytes, next_one: Bytes) -> Offsets:
    pair: Offsets = one.astype(np.int64) << 8 | next_one
    return pair


_WIDE_LINKS = {
    ") ": ")", "）": ")", " - ": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-",
    "\u2212": "-", "·": " ",
}  # fmt: skip
"""Other ways to write the links between groups of digits, of two or three bytes."""


def _wide_links(between: Bytes) -> Bytes:
    """Of N x 3 bytes between two runs, zeros at the end, the link that each is; 0 where it is none."""
    found = np.zeros(len(between), dtype=np.uint8)
    for spelled, link in _WIDE_LINKS.items():
        wanted = np.frombuffer(spelled.encode().ljust(3, b"\0"), dtype=np.uint8)
        found[(between == wanted).all(axis=1)] = ord(link)
    return found


def number(rows: NDArray[np.uint8], first: int, last: int) -> Offsets:
    value = np.zeros(len(rows), dtype=np.int64)
    for column in range(first, last):
        value = value * 10 + rows[:, column]
    return value


def penalty(groups: Groups, first: Offsets, last: Offsets, letters: float) -> Any:
    """What letters right beside digits, and a decimal point, take from a score."""
    beside = groups.letter_before[first] | groups.letter_after[last]
    return letters * beside + 0.35 * (groups.after_point[first] | groups.before_point[last])
