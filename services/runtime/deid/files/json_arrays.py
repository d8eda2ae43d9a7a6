"""Where elements of a JSON array end: told by quotes and brackets, block by block, without reading what is in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import BLOCK, Bytes, Flags, Offsets
from services.runtime.deid.escapes import Backslashes

_QUOTE, _COMMA, _BACKSLASH = 34, 44, 92
_STEPS = np.zeros(256, dtype=np.int64)
_STEPS[np.frombuffer(b"[{", dtype=np.uint8)] = 1
_STEPS[np.frombuffer(b"]}", dtype=np.uint8)] = -1

_PLAIN, _ESCAPED = b"  ", b" \\"
"""What stands for all before a block, by whether its first character is escaped."""

Words = NDArray[np.uint64]
"""Flags, 64 a word, from the lowest bit on."""
_WORD = 64


class Commas:
    """Those between the elements of an array, whose text is told piece by piece; of what is no JSON they are anywhere.

    `depth`: in how many arrays and objects the first piece begins.
    """

    def __init__(self, depth: int = 0) -> None:
        self._depth, self._quoted, self._escaped = depth, np.uint64(0), False

    def ends(self, piece: bytes) -> Offsets:
        """Offsets after them."""
        found = [self._of_block(piece[at : at + BLOCK]) + at for at in range(0, len(piece), BLOCK)]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    def _of_block(self, block: bytes) -> Offsets:
        block = (_ESCAPED if self._escaped else _PLAIN) + block
        self._escaped = (len(block) - len(block.rstrip(b"\\"))) % 2 == 1
        block = block.ljust(len(block) // _WORD * _WORD + _WORD)
        raw: Bytes = np.frombuffer(block, dtype=np.uint8)
        is_mark = ((raw | np.uint8(0x20)) - np.uint8(ord("{"))) & np.uint8(0xFD) == 0  # brackets of both kinds
        is_mark |= raw == _COMMA
        is_quote = raw == _QUOTE
        if b'\\"' in block:
            is_quote &= ~_are_escaped(raw, is_quote)
        marks = _flagged(_words(is_mark) & ~self._within_strings(_words(is_quote)))
        kinds = raw[marks]
        depth = self._depth + np.cumsum(_STEPS.take(kinds))
        if len(depth):
            self._depth = int(depth[-1])
        ends: Offsets = marks[(depth == 1) & (kinds == _COMMA)] + 1 - len(_PLAIN)
        return ends

    def _within_strings(self, quotes: Words) -> Words:
        """What comes after an odd number of them: within words by doubling, then by the parity of all words before."""
        for shift in (1, 2, 4, 8, 16, 32):
            quotes ^= quotes << np.uint64(shift)
        parities = np.bitwise_xor.accumulate(np.append(self._quoted, quotes >> np.uint64(_WORD - 1)))
        self._quoted = parities[-1]
        return quotes ^ -parities[:-1]


def _are_escaped(raw: Bytes, is_quote: Flags) -> Flags:
    """What follows an odd number of backslashes; neither the first character nor the last is one or a quote."""
    is_backslash = raw == _BACKSLASH
    escaped = np.zeros(len(raw), dtype=np.bool_)
    np.logical_and(is_backslash[:-1], is_quote[1:], out=escaped[1:])
    if (is_backslash[:-2] & escaped[2:]).any():
        runs = Backslashes.of(raw, np.flatnonzero(is_backslash))
        escaped[:] = False
        escaped[runs.ends[runs.odd]] = True
    return escaped


def _words(flags: Flags) -> Words:
    return np.packbits(flags, bitorder="little").view("<u8")


def _flagged(words: Words) -> Offsets:
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little").view(np.bool_))
