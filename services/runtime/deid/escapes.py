"""Escapes as JSON writes them, also of strings within strings: what is searched, and changed, in their place."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.reaches import among_bytes, is_digit

_BACKSLASH, _QUOTE, _BLANK, _NEWLINE, _TAB = 92, 34, 32, 10, 9


class Backslashes(NamedTuple):
    """Maximal runs of backslashes: where each begins, and where what follows it does, and that.

    `odd`: those that have one which belongs to what follows.
    """

    starts: Offsets
    ends: Offsets
    after: Bytes
    odd: Flags

    @classmethod
    def of(cls, raw: Bytes, at: Offsets) -> Backslashes:
        """`at`: the places of all backslashes."""
        apart = np.ones(len(at) + 1, dtype=np.bool_)
        np.not_equal(np.diff(at), 1, out=apart[1:-1])
        starts, ends = at[apart[:-1]], at[apart[1:]] + 1
        after = raw.take(ends, mode="clip")
        after[ends >= len(raw)] = 0
        return cls(starts, ends, after, ((ends - starts) & 1).astype(np.bool_))


class Spelled(NamedTuple):
    """Characters written as `\\u…` or `\\/`, ascending: where each begins and ends, and its bytes in UTF-8."""

    starts: Offsets
    ends: Offsets
    sizes: Offsets

    def within(self, starts: Offsets, ends: Offsets) -> Flags:
        """Which stretches have one."""
        return _any_within(self.starts, starts, ends)

    def points(self, shown: Bytes) -> Offsets:
        """The code points of the characters that begin where these do."""
        first, second, third = (shown.take(self.starts + by, mode="clip").astype(np.int64) for by in range(3))
        two = ((first & 0x1F) << 6) | (second & 0x3F)
        three = ((first & 0x0F) << 12) | ((second & 0x3F) << 6) | (third & 0x3F)
        return np.choose(self.sizes - 1, (first, two, three))

    def write(self, content: Bytes, chosen: Flags, points: Offsets) -> None:
        """Writes other code points over the digits of those chosen, in capitals where they had any."""
        at = self.ends[chosen][:, None] + np.arange(-4, 0)
        capital = (content[at] - np.uint8(0x41) < 26).any(axis=1)
        digits = _DIGITS[(points[chosen][:, None] >> np.arange(12, -4, -4)) & 0xF]
        content[at] = np.where(capital[:, None] & (digits >= 0x61), digits - np.uint8(0x20), digits)


class Escapes(NamedTuple):
    """The escapes of a content, of any depth; ascending. They stay as they are, and no value begins or ends in one.

    `spelled`: others, which are characters of the text like any. `places`: of all their bytes, in whatever order.
    `shown`: what is searched in place of the content: each as blanks and the sign that it stands for, a quote, a tab or
    a line's end, but backslashes as they are. `dropped`: bytes of it that are left out there, so that no depth puts
    values further apart than the first. `numbered`: whether some had digits, or were slashes.
    """

    starts: Offsets
    ends: Offsets
    spelled: Spelled
    places: Offsets
    shown: Bytes
    dropped: Offsets
    numbered: bool

    def within(self, starts: Offsets, ends: Offsets) -> Flags:
        """Which stretches have one."""
        return _any_within(self.starts, starts, ends)

    def put_back(self, content: Bytes, raw: Bytes) -> None:
        """Writes them over what they are shown as, the characters with what they became there."""
        before, after = self.spelled.points(self.shown), self.spelled.points(content)
        content[self.places] = raw[self.places]
        self.spelled.write(content, before != after, after)

    def between(self, start: int, end: int) -> list[tuple[int, int]]:
        """Those that begin in a stretch."""
        first, last = np.searchsorted(self.starts, [start, end])
        return list(zip(self.starts[first:last].tolist(), self.ends[first:last].tolist(), strict=True))

    def signs(self, raw: Bytes, numbers: Offsets) -> tuple[Bytes, Flags]:
        """What some of them say, and before which a backslash is said, too, as before the end of a command's line."""
        ends, backslashes = self.ends[numbers], self.ends[numbers] - self.starts[numbers] - 1
        signs = raw[ends - 1]
        alone, by_number = signs == _BACKSLASH, raw[ends - 2] != _BACKSLASH
        said = np.where(alone, signs, np.where(by_number, np.uint8(_BLANK), _SHOWN[signs]))
        return said, ((backslashes & (backslashes - 1)) > 0) & ~alone & ~by_number & (signs != _QUOTE)

    def begins(self, offsets: Offsets) -> Offsets:
        """Offsets, those in the midst of an escape moved to its start."""
        return self._moved(offsets, self.starts)

    def over(self, offsets: Offsets) -> Offsets:
        """Offsets, those in the midst of an escape moved to its end."""
        return self._moved(offsets, self.ends)

    def _moved(self, offsets: Offsets, to: Offsets) -> Offsets:
        if not len(self.starts):
            return offsets
        last = np.maximum(np.searchsorted(self.starts, offsets) - 1, 0)
        amid = (self.starts[last] < offsets) & (offsets < self.ends[last])
        return np.where(amid, to[last], offsets)


def _any_within(places: Offsets, starts: Offsets, ends: Offsets) -> Flags:
    return np.asarray(np.searchsorted(places, starts) < np.searchsorted(places, ends))


def spelled_out(text: str) -> str:
    """With the characters that are written as `\\u…` or `\\/`, of any depth."""
    return _SPELLED.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    point = int(found[1], 16) if found[1] else ord("/")
    return chr(point) if _is_text(np.array([point]))[0] else found[0]


_SPELLED = re.compile(r"\\+(?:u(?!1[0-9]{3})([0-9A-Fa-f]{4})|/)")


def of_text(content: bytes, *, to_the_letter: bool = False) -> Escapes | None:
    """Those of JSON that a text may hold. `to_the_letter`: it is searched as it is, but for characters."""
    if b"\\" not in content:
        return None
    raw: Bytes = np.frombuffer(content, dtype=np.uint8)
    found = of_json(raw, Backslashes.of(raw, np.flatnonzero(raw == _BACKSLASH)), within=False)
    if found is None or not to_the_letter:
        return found
    shown, spelled = raw.copy(), found.spelled
    begins = spelled.starts + spelled.sizes
    characters = ranges(spelled.starts, begins)
    shown[characters] = found.shown[characters]
    return found._replace(shown=shown, dropped=ranges(begins, spelled.ends))


def of_json(raw: Bytes, runs: Backslashes, *, within: bool = True) -> Escapes | None:
    """Those of its strings but for `\\u…` and `\\/`, and those of JSON `within` its strings; None without any."""
    starts, ends, after, odd = runs
    sign = _SIGNS[after] & (odd | (after != _QUOTE))
    by_number = (after == ord("u")) & ~(odd & within)
    points = np.zeros(len(starts), dtype=np.int64)
    if by_number.any():
        four = raw.take(ends[by_number][:, None] + np.arange(1, 5), mode="clip")
        rare = (four[:, 0] == ord("1")) & is_digit(four).all(axis=1)  # letters, and in paths the number of a user
        points[by_number] = (_VALUES[four] << np.arange(12, -4, -4)).sum(axis=1)
        by_number[by_number] = _HEXADECIMAL[four].all(axis=1) & ~rare & (ends[by_number] + 5 <= len(raw))
    slash = (after == ord("/")) & ~(odd & within)
    points[slash] = ord("/")
    alone = within & ~odd & ~sign & ~by_number & ~slash
    chosen = sign | by_number | slash | alone
    if not chosen.any():
        return None
    ends = (ends + np.where(by_number, 5, ~alone))[chosen]
    starts, after, sign, alone = starts[chosen], after[chosen], sign[chosen], alone[chosen]
    points, character = points[chosen], (by_number | slash)[chosen]
    places = ranges(starts, ends)
    shown = raw.copy()
    shown[places] = _BLANK
    shown[ends - 1] = _SHOWN[after]
    if alone.any():
        backslashes = ranges(starts[alone], ends[alone])
        shown[backslashes] = raw[backslashes]
    deep = (sign | alone) & (ends - starts > _DEEP)
    dropped = ranges(starts[deep] + 1, ends[deep] - 1)
    text = character & _is_text(points)
    spelled = Spelled(starts[text], ends[text], 1 + (points[text] >= 0x80) + (points[text] >= 0x800))
    if text.any():
        _spell_out(spelled, points[text], shown)
        dropped = np.concatenate([dropped, ranges(spelled.starts + spelled.sizes, spelled.ends)])
    return Escapes(starts[~text], ends[~text], spelled, places, shown, dropped, bool(character.any()))


def _is_text(points: Offsets) -> Flags:
    """Of what JSON may have as it is, and not controls or halves of a pair."""
    control = (points < 0x20) | ((points >= 0x7F) & (points < 0xA0))
    text: Flags = ~(control | (points == _QUOTE) | (points == _BACKSLASH) | ((points >= 0xD800) & (points < 0xE000)))
    return text


def _spell_out(spelled: Spelled, points: Offsets, shown: Bytes) -> None:
    for size, lead in ((1, 0), (2, 0xC0), (3, 0xE0)):
        some, at = points[spelled.sizes == size], spelled.starts[spelled.sizes == size]
        shown[at] = lead | (some >> (6 * (size - 1)))
        for following in range(1, size):
            shown[at + following] = 0x80 | ((some >> (6 * (size - 1 - following))) & 0x3F)


_DEEP = 3
"""Bytes of an escape of the second depth that is no quote's, which code and paths have many of."""


def ranges(starts: Offsets, ends: Offsets) -> Offsets:
    """All offsets from each start up to its end, in whatever order; most are two."""
    two = ends - starts == 2
    pairs, starts, ends = starts[two], starts[~two], ends[~two]
    lengths = ends - starts
    begins = np.cumsum(lengths) - lengths
    return np.concatenate([pairs, pairs + 1, np.repeat(starts - begins, lengths) + np.arange(int(lengths.sum()))])


_SHOWN = np.full(256, _BLANK, dtype=np.uint8)
_SHOWN[_QUOTE] = _QUOTE
_SHOWN[np.frombuffer(b"bfnrt", dtype=np.uint8)] = _NEWLINE
_SHOWN[ord("t")] = _TAB
_SIGNS, _HEXADECIMAL = among_bytes('"bfnrt'), among_bytes("0123456789abcdefABCDEF")
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_VALUES = np.zeros(256, dtype=np.int64)
for _value, _digit in enumerate(b"0123456789abcdef"):
    _VALUES[[_digit, ord(chr(_digit).upper())]] = _value
