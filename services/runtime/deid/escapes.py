"""Escapes as JSON writes them, also of strings within strings: what is searched, and changed, in their place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.reaches import among_bytes, is_digit

_BACKSLASH, _QUOTE, _BLANK, _NEWLINE = 92, 34, 32, 10


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


class Escapes(NamedTuple):
    """The escapes of a content, of any depth; ascending. They stay as they are, and no value begins or ends in one.

    `places`: of all their bytes, in whatever order.
    `shown`: what is searched in place of the content: each as blanks and the sign that it stands for, a quote or a
    line's end, but backslashes as they are. `dropped`: bytes of it that are left out there, so that no depth puts
    values further apart than the first. `numbered`: whether some had digits.
    """

    starts: Offsets
    ends: Offsets
    places: Offsets
    shown: Bytes
    dropped: Offsets
    numbered: bool

    def within(self, starts: Offsets, ends: Offsets) -> Flags:
        """Which stretches have one."""
        return np.asarray(np.searchsorted(self.starts, starts) < np.searchsorted(self.starts, ends))

    def between(self, start: int, end: int) -> list[tuple[int, int]]:
        """Those that begin in a stretch."""
        first, last = np.searchsorted(self.starts, [start, end])
        return list(zip(self.starts[first:last].tolist(), self.ends[first:last].tolist(), strict=True))

    def begins(self, offsets: Offsets) -> Offsets:
        """Offsets, those in the midst of an escape moved to its start."""
        return self._moved(offsets, self.starts)

    def over(self, offsets: Offsets) -> Offsets:
        """Offsets, those in the midst of an escape moved to its end."""
        return self._moved(offsets, self.ends)

    def _moved(self, offsets: Offsets, to: Offsets) -> Offsets:
        last = np.maximum(np.searchsorted(self.starts, offsets) - 1, 0)
        amid = (self.starts[last] < offsets) & (offsets < self.ends[last])
        return np.where(amid, to[last], offsets)


def of_text(content: bytes, *, to_the_letter: bool = False) -> Escapes | None:
    """Those of JSON that a text may hold. `to_the_letter`: it is searched as it is."""
    if b"\\" not in content:
        return None
    raw: Bytes = np.frombuffer(content, dtype=np.uint8)
    found = of_json(raw, Backslashes.of(raw, np.flatnonzero(raw == _BACKSLASH)), within=False)
    return found and found._replace(shown=raw, dropped=raw[:0].astype(np.int64)) if to_the_letter else found


def of_json(raw: Bytes, runs: Backslashes, *, within: bool = True) -> Escapes | None:
    """Those of its strings but for `\\u…` and `\\/`, and those of JSON `within` its strings; None without any."""
    starts, ends, after, odd = runs
    sign = _SIGNS[after] & (odd | (after != _QUOTE))
    by_number = (after == ord("u")) & ~(odd & within)
    if by_number.any():
        four = raw.take(ends[by_number][:, None] + np.arange(1, 5), mode="clip")
        rare = (four[:, 0] == ord("1")) & is_digit(four).all(axis=1)  # letters, and in paths the number of a user
        by_number[by_number] = _HEXADECIMAL[four].all(axis=1) & ~rare & (ends[by_number] + 5 <= len(raw))
    numbered = bool(by_number.any())
    alone = within & ~odd & ~sign & ~by_number
    chosen = sign | by_number | alone
    if not chosen.any():
        return None
    ends = (ends + np.where(by_number, 5, ~alone))[chosen]
    starts, after, sign, alone = starts[chosen], after[chosen], sign[chosen], alone[chosen]
    places = _ranges(starts, ends)
    shown = raw.copy()
    shown[places] = _BLANK
    shown[ends - 1] = _SHOWN[after]
    if alone.any():
        backslashes = _ranges(starts[alone], ends[alone])
        shown[backslashes] = raw[backslashes]
    deep = (sign | alone) & (ends - starts > _DEEP)
    return Escapes(starts, ends, places, shown, _ranges(starts[deep] + 1, ends[deep] - 1), numbered)


_DEEP = 3
"""Bytes of an escape of the second depth that is no quote's, which code and paths have many of."""


def _ranges(starts: Offsets, ends: Offsets) -> Offsets:
    """All offsets from each start up to its end, in whatever order; most are two."""
    two = ends - starts == 2
    pairs, starts, ends = starts[two], starts[~two], ends[~two]
    lengths = ends - starts
    begins = np.cumsum(lengths) - lengths
    return np.concatenate([pairs, pairs + 1, np.repeat(starts - begins, lengths) + np.arange(int(lengths.sum()))])


_SHOWN = np.full(256, _BLANK, dtype=np.uint8)
_SHOWN[_QUOTE] = _QUOTE
_SHOWN[np.frombuffer(b"bfnrt", dtype=np.uint8)] = _NEWLINE
_SIGNS, _HEXADECIMAL = among_bytes('"bfnrt'), among_bytes("0123456789abcdefABCDEF")
