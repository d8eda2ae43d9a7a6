"""The bytes of a content that say how the others are to be read, found in one pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import BLOCK, Bytes, Offsets

_QUOTE, _BACKSLASH, _WIDE, _COMMA = 34, 92, 0xEF, 0x8C


class Marks(NamedTuple):
    """Places of quotes, of backslashes, and of where full-width forms may begin, which the comma `，` is not."""

    quotes: Offsets
    backslashes: Offsets
    wide: Offsets

    @classmethod
    def of(cls, raw: Bytes) -> Marks:
        places, flags, more = [np.zeros(0, dtype=np.int64)], *np.empty((2, BLOCK), dtype=np.bool_)
        for start in range(0, len(raw), BLOCK):
            block, third = raw[start : start + BLOCK], raw[start + 2 : start + 2 + BLOCK]
            here, there = flags[: len(block)], more[: len(block)]
            np.equal(block, _QUOTE, out=here)
            np.equal(block, _BACKSLASH, out=there)
            here |= there
            there = more[: len(third)]
            np.equal(block[: len(third)], _WIDE, out=there)
            there &= third != _COMMA
            here[: len(third)] |= there
            places.append(np.flatnonzero(here) + start)
        at = np.concatenate(places)
        which = raw[at]
        return cls(at[which == _QUOTE], at[which == _BACKSLASH], at[which == _WIDE])
