"""What a content says after its words: an escape there is the sign that it stands for, and nothing else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import Buffer, Bytes, Flags, Offsets
from services.runtime.deid.escapes import ranges
from services.runtime.deid.recognisers.groups import MARGIN

_BACKSLASH = ord("\\")
_BEFORE = 16
"""Bytes that forms look back at from the end of a word."""


class Stretches(NamedTuple):
    """A text of stretches of a content, and for each byte of it (and the end) its offset there. `starts`, `limits`:
    where in the text those of the content are.
    """

    text: bytes
    origin: Offsets
    starts: Offsets
    limits: Offsets

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Of a stretch of the text in the content."""
        return int(self.origin[start]), int(self.origin[end - 1]) + 1


class Said:
    """Of a content with margins, of which all offsets are."""

    def __init__(self, searched: bytes, buffer: Buffer) -> None:
        self._buffer, self._escapes = buffer, buffer.escapes
        self._content: Bytes = np.frombuffer(searched, dtype=np.uint8)

    def signs(self, at: Offsets) -> Bytes:
        """The first that is said from each of these offsets on, which may be where an escape begins."""
        signs = self._content[at]
        if self._escapes is not None:
            before = self._buffer.original(at - MARGIN)
            escaped = self._escapes.within(before, before + 1)
            numbers = np.searchsorted(self._escapes.starts, before[escaped])
            said, after_backslash = self._escapes.signs(self._buffer.raw, numbers)
            signs[escaped] = np.where(after_backslash, _BACKSLASH, said)
        return signs

    def have_escapes(self, starts: Offsets, limits: Offsets) -> Flags:
        if self._escapes is None:
            return starts < 0
        return self._escapes.within(*(self._buffer.original(offsets - MARGIN) for offsets in (starts, limits)))

    def stretches(self, starts: Offsets, limits: Offsets) -> Stretches:
        """From the ends of words, ascending, to limits."""
        if self._escapes is None or not len(starts):
            return Stretches(b"", starts, starts, limits)
        begins, ends = starts - _BEFORE, np.maximum.accumulate(limits)
        apart = begins[1:] > ends[:-1]
        begins, ends = begins[np.append(True, apart)], ends[np.append(apart, True)]
        origin = ranges(begins, ends)
        text = self._content[origin]
        numbers = ranges(
            *(
                np.searchsorted(self._escapes.starts, self._buffer.original(np.maximum(offsets - MARGIN, 0)))
                for offsets in (begins, ends)
            )
        )
        signs, after_backslash = self._escapes.signs(self._buffer.raw, numbers)
        first, over = (
            self._buffer.places(side[numbers]) + MARGIN for side in (self._escapes.starts, self._escapes.ends)
        )
        whole = (signs != _BACKSLASH) & (over <= ends[np.searchsorted(begins, first, side="right") - 1])
        first, over, signs, after_backslash = first[whole], over[whole], signs[whole], after_backslash[whole]
        text[np.searchsorted(origin, first[after_backslash])] = _BACKSLASH
        text[np.searchsorted(origin, over - 1)] = signs
        kept = np.ones(len(origin), dtype=np.bool_)
        kept[np.searchsorted(origin, ranges(first + after_backslash, over - 1))] = False
        origin = np.append(origin[kept], ends[-1])
        return Stretches(text[kept].tobytes(), origin, np.searchsorted(origin, starts), np.searchsorted(origin, limits))
