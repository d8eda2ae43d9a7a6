"""Many texts in one buffer of UTF-8, which is searched once for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]
Bytes = NDArray[np.uint8]


class Buffer:
    """Bytes, and the areas in them that are text: their starts and ends in ascending order, apart from each other."""

    def __init__(self, content: bytes, starts: Offsets, ends: Offsets) -> None:
        self.content, self.starts, self.ends = content, starts, ends
        self.bytes: Bytes = np.frombuffer(content, dtype=np.uint8)

    @classmethod
    def of_texts(cls, texts: Sequence[bytes]) -> Buffer:
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        ends = np.cumsum(lengths + 1) - 1
        return cls(b"\n".join(texts), ends - lengths, ends)
