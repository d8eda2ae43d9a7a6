"""Values that nothing but their word told, where the same document has them again without it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import Buffer, Bytes, Offsets
from services.runtime.deid.reaches import LETTERS, among_bytes
from services.runtime.deid.recognisers.resolution import apart
from services.runtime.deid.spans import Spans

TOLD = frozenset({"WECHAT", "API_KEY", "QQ", "PHONE"})
"""Types whose form alone tells little."""
_SHORTEST, _LONGEST = 6, 256
_SIGNS = "@#$%^&*!?~+.-"
_TOKEN, _SIGN = among_bytes("0123456789_" + LETTERS + _SIGNS), frozenset(_SIGNS.encode())


def repeated(spans: Spans, buffer: Buffer) -> Spans:
    """The tokens of each document, apart from `spans`, that are values which those tell in it.

    A sign before or after a token may be the sentence's. What has letters alone may be any word elsewhere.
    """
    told = _told(spans)
    if not len(told):
        return Spans.none(spans.names)
    documents = np.searchsorted(buffer.documents, spans.starts[told], side="right") - 1
    tokens = _tokens(buffer, np.unique(documents), np.unique(spans.ends[told] - spans.starts[told]))
    free = apart(tokens, spans)
    if not free.any():
        return Spans.none(spans.names)
    content = buffer.text
    known = dict[tuple[int, bytes], int]()
    columns = documents, spans.starts[told], spans.ends[told], told
    for document, start, end, index in zip(*(column.tolist() for column in columns), strict=True):
        if not content[start:end].isalpha():
            known.setdefault((document, content[start:end]), index)
    places = list[tuple[int, int, int]]()
    for document, start, end in zip(*(column[free].tolist() for column in tokens), strict=True):
        first, last = start + (content[start] in _SIGN), end - (content[end - 1] in _SIGN)
        for place in ((start, end), (first, end), (start, last), (first, last)):
            index = known.get((document, content[slice(*place)]))
            if index is not None:
                places.append((index, *place))
                break
    like, starts, ends = np.array(places, dtype=np.int64).reshape(-1, 3).T
    same = spans.take(like)
    return Spans(spans.names, same.kinds, starts, ends, same.scores, same.checked)


def _told(spans: Spans) -> Offsets:
    lengths = spans.ends - spans.starts
    kinds = [number for number, name in enumerate(spans.names) if name in TOLD]
    return np.flatnonzero(np.isin(spans.kinds, kinds) & (lengths >= _SHORTEST) & (lengths <= _LONGEST))


class _Tokens(NamedTuple):
    """In ascending order: of which document each is, where it starts, and where it ends."""

    documents: Offsets
    starts: Offsets
    ends: Offsets


def _tokens(buffer: Buffer, documents: Offsets, lengths: Offsets) -> _Tokens:
    """Of these documents those that are as long as one of `lengths`, or by one or two signs longer."""
    begins = buffer.documents[documents]
    sizes = np.append(buffer.documents[1:], len(buffer.bytes))[documents] - begins
    joined: Bytes = np.concatenate(
        [buffer.bytes[begin : begin + size] for begin, size in zip(begins.tolist(), sizes.tolist(), strict=True)]
    )
    inside = np.zeros(len(joined) + 2, dtype=np.bool_)
    inside[1:-1] = _TOKEN[joined]
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    likely = np.zeros(_LONGEST + 4, dtype=np.bool_)
    for signs in range(3):
        likely[lengths + signs] = True
    chosen = likely[np.minimum(edges[1::2] - edges[::2], _LONGEST + 3)]
    starts, ends = edges[::2][chosen], edges[1::2][chosen]
    at = np.cumsum(sizes) - sizes
    part = np.searchsorted(at, starts, side="right") - 1
    shift = begins[part] - at[part]
    return _Tokens(documents[part], starts + shift, ends + shift)
