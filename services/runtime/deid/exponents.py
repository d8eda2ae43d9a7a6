"""Numbers with an exponent that stand for a whole number, as a table of floats writes a phone: `1.3812345678E10`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import Buffer, Bytes, Offsets
from services.runtime.deid.reaches import ALNUM, among_bytes, is_digit

Place = tuple[int, int, bytes]
PATTERN = re.compile(rb"([0-9]+)(?:\.([0-9]+))?[eE]\+?([0-9]{1,3})")
_LONGEST = 36
_FEWEST = 5
_SOMEBODYS = range(7, 21)
"""How many digits a number in a text has that is rather somebody's than a measure."""
_BESIDE = ALNUM | among_bytes("_.")


class Number(NamedTuple):
    """Where in a content it stands, in which area, and the digits that it stands for."""

    start: int
    end: int
    area: int
    digits: bytes


def whole_number(token: bytes) -> str:
    """The digits of a number with an exponent; none where it is no whole number of up to 36 digits, or where fewer
    than five digits of its own are too few to be somebody's.
    """
    found = PATTERN.fullmatch(token)
    assert found is not None
    whole, fraction, power = found[1], found[2] or b"", int(found[3])
    if len((whole + fraction).strip(b"0")) < _FEWEST or fraction[power:].strip(b"0"):
        return ""
    digits = (whole + fraction[:power] + b"0" * (power - len(fraction))).lstrip(b"0")
    return digits.decode() if len(digits) <= _LONGEST else ""


def read(token: bytes) -> str:
    """As `whole_number`, and digits alone as they are."""
    return token.decode() if token.isdigit() else whole_number(token)


def within(buffer: Buffer) -> list[Number]:
    """Those in the areas of a buffer: with a point, which hashes do not have."""
    text, runs = buffer.bytes, buffer.runs
    fraction = np.flatnonzero((text[runs.ends[1:-1]] | np.uint8(0x20)) == ord("e")) + 1
    whole, power = fraction - 1, fraction + 1
    starts, ends = runs.starts[whole], runs.ends[power]
    link = runs.starts[power] - runs.ends[fraction]
    kept = (link == 1) | ((link == 2) & (text[runs.starts[power] - 1] == ord("+")))
    kept &= (runs.starts[fraction] - runs.ends[whole] == 1) & (text[runs.ends[whole]] == ord("."))
    kept &= (runs.digits[power] <= 3) & (runs.digits[fraction] <= _LONGEST) & (runs.digits[whole] <= _LONGEST)
    area = np.searchsorted(buffer.areas.starts, starts, side="right") - 1
    kept &= (area >= 0) & (ends <= buffer.areas.ends[area]) if len(buffer.areas.ends) else False
    found = []
    for start, end, index in zip(starts[kept].tolist(), ends[kept].tolist(), area[kept].tolist(), strict=True):
        digits = whole_number(text[start:end].tobytes())
        if len(digits) in _SOMEBODYS and _is_apart(text, start, end):
            first, last = buffer.original(np.array([start, end])).tolist()
            found.append(Number(first, last, index, digits.encode()))
    return found


def _is_apart(text: Bytes, start: int, end: int) -> bool:
    """From letters, and from more of a number."""
    if start and _BESIDE[text[start - 1]]:
        return False
    pointed = end + 1 < len(text) and text[end] == ord(".") and bool(is_digit(text[end + 1 : end + 2])[0])
    return end == len(text) or (not pointed and (text[end] == ord(".") or not _BESIDE[text[end]]))


class SpelledOut:
    """A content with the digits of numbers in their place. `starts`, `ends`: where in it those digits are."""

    def __init__(self, content: bytes, numbers: Sequence[Number]) -> None:
        starts, self._ends = np.array([number[:2] for number in numbers], dtype=np.int64).T
        sizes = np.array([len(number.digits) for number in numbers], dtype=np.int64)
        self._shift = np.append(0, np.cumsum(sizes - (self._ends - starts)))
        self.starts, self.ends = starts + self._shift[:-1], self._ends + self._shift[1:]
        self._written = [content[number.start : number.end] for number in numbers]
        pieces, at = list[bytes](), 0
        for number in numbers:
            pieces += [content[at : number.start], number.digits]
            at = number.end
        self.content = b"".join((*pieces, content[at:]))

    def moved(self, offsets: Offsets) -> Offsets:
        """Offsets of the content before, none of them within a number."""
        moved: Offsets = offsets + self._shift[np.searchsorted(self._ends, offsets, side="right")]
        return moved

    def restored(self, changed: bytes, places: Sequence[Place]) -> list[Place]:
        """With those `places` (ascending) of the content, which became `changed`, also the numbers in which nothing
        did, as they were written.
        """
        others = np.array([place[:2] for place in places], dtype=np.int64).reshape(-1, 2)
        free = np.searchsorted(others[:, 1], self.starts, side="right") == np.searchsorted(others[:, 0], self.ends)
        numbers = zip(self.starts.tolist(), self.ends.tolist(), self._written, free.tolist(), strict=True)
        same = [
            (start, end, old)
            for start, end, old, is_free in numbers
            if is_free and changed[start:end] == self.content[start:end]
        ]
        return sorted([*places, *same])
