"""The patterns of a policy's author, on the RE2 of Arrow, which searches all texts of a column in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.runtime.deid.buffers import Buffer, Bytes, Offsets
from services.runtime.deid.expressions import of_re2
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.rules import Pattern

_MARK = 0xFF
"""No byte of UTF-8."""
_AROUND = b"\xff\\0\xff"


def find(patterns: Sequence[Pattern], buffer: Buffer, out: Candidates) -> None:
    """The matches of each pattern in each area by itself: from the left, apart from each other, as `re` finds them.

    What precedes an area from its floor on is searched with it, so that no text begins where an area alone does, and of
    a match that begins there counts what is in the area.
    """
    if not patterns or not len(buffer.areas.starts):
        return
    import pyarrow.compute as pc

    floors, first = buffer.floors, buffer.areas.starts
    texts = _texts(buffer.bytes, floors, buffer.areas.ends)
    lengths = buffer.areas.ends - floors
    begins = np.cumsum(lengths) - lengths
    for own in patterns:
        marked = pc.replace_substring_regex(texts, of_re2(own), _AROUND)
        marks = np.flatnonzero(np.frombuffer(marked.buffers()[2] or b"", dtype=np.uint8) == _MARK)
        starts = marks[0::2] - np.arange(0, len(marks), 2)
        area = np.searchsorted(begins, starts, side="right") - 1
        starts += floors[area] - begins[area]
        ends = starts + marks[1::2] - marks[0::2] - 1
        starts = np.maximum(starts, first[area])
        there = ends > starts
        out.add(own.name, starts[there] + MARGIN, ends[there] + MARGIN, own.score)


def _texts(content: Bytes, starts: Offsets, ends: Offsets) -> Any:
    """These texts as a column, without a copy: every other value is what stands between two of them, and is null."""
    import pyarrow as pa

    offsets = np.stack([starts, ends], axis=1).ravel()
    there = np.full(len(offsets) // 8 + 1, 0b01010101, dtype=np.uint8)
    buffers = [pa.py_buffer(there), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(content))]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)
