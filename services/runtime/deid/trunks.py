"""Landlines of mainland China after its country code: there the 0 that they are dialled with at home is not theirs."""

from __future__ import annotations

import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.reaches import ALNUM, among_bytes, is_digit

_BETWEEN = among_bytes(" -().0（）")
_OF_A_WORD = ALNUM | among_bytes("._/-")
_MOST_BETWEEN = 9
"""Bytes: as in `（0）-`."""


def after_country_code(content: Bytes, starts: Offsets) -> Flags:
    """Whether `+86`, `0086` or `86-` stands before, with at most a few signs and a 0 between."""
    at = starts - 1
    for _ in range(_MOST_BETWEEN):
        at = at - ((at > 0) & _BETWEEN[content[at]])
    last = [np.where(at >= back, content[np.maximum(at - back, 0)], 0) for back in range(5)]
    dialled = (last[2] == ord("0")) & (last[3] == ord("0")) & ~is_digit(last[4].astype(np.uint8))
    dashed = (content[at + 1] == ord("-")) & ~_OF_A_WORD[last[2].astype(np.uint8)]
    found: Flags = (last[0] == ord("6")) & (last[1] == ord("8")) & ((last[2] == ord("+")) | dialled | dashed)
    return found
