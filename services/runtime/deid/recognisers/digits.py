"""Runs of digits, ASCII and full-width, found in one vectorised pass."""

from __future__ import annotations

import numpy as np

from services.runtime.deid.buffers import Bytes, Offsets

_FULL_WIDTH = (0xEF, 0xBC)  # and 0x90 + digit, in UTF-8


class Runs:
    """Maximal runs of digits: byte offsets of their starts and ends, and how many digits each has."""

    def __init__(self, starts: Offsets, ends: Offsets, digits: Offsets) -> None:
        self.starts, self.ends, self.digits = starts, ends, digits

    @classmethod
    def of(cls, content: Bytes) -> Runs:
        """Digits of both widths make one run."""
        is_digit = (content - np.uint8(ord("0"))) < 10
        wide = wide_digits(content)
        if len(wide):
            for offset in range(3):
                is_digit[wide + offset] = True
        edges = np.flatnonzero(np.diff(is_digit.view(np.int8), prepend=0, append=0))
        starts, ends = edges[::2], edges[1::2]
        digits = ends - starts
        if len(wide):
            digits -= 2 * (np.searchsorted(wide, ends) - np.searchsorted(wide, starts))
        return cls(starts, ends, digits)


def wide_digits(content: Bytes) -> Offsets:
    """Where full-width digits begin."""
    first = np.flatnonzero(content == _FULL_WIDTH[0])
    first = first[first < len(content) - 2]
    if not len(first):
        return first
    wide: Offsets = first[(content[first + 1] == _FULL_WIDTH[1]) & ((content[first + 2] - np.uint8(0x90)) < 10)]
    return wide
