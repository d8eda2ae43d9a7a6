"""Values that nothing but their word told, where the same document has them again without it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
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


def repeated(spans: Sequence[Spans], buffers: Sequence[Buffer]) -> list[Spans]:
    """Of each buffer, the tokens apart from its `spans` that are values which those of any tell in the same document.

    A sign before or after a token may be the sentence's. What has letters alone may be any word elsewhere.
    """
    told = [_told(some) for some in spans]
    every = reduce(Spans.joined, told)
    if not len(every):
        return [every] * len(buffers)
    documents = [
        np.searchsorted(buffer.documents, some.starts, side="right") - 1
        for some, buffer in zip(told, buffers, strict=True)
    ]
    asked, lengths = np.unique(np.concatenate(documents)), np.unique(every.ends - every.starts)
    tokens = [_tokens(buffer, asked, lengths).apart(some) for some, buffer in zip(spans, buffers, strict=True)]
    if not any(len(some.starts) for some in tokens):
        return [Spans.none(every.names)] * len(buffers)
    values = [
        (document, buffer.text[start:end])
        for some, buffer, of in zip(told, buffers, documents, strict=True)
        for document, start, end in zip(of.tolist(), some.starts.tolist(), some.ends.tolist(), strict=True)
    ]
    known = dict[tuple[int, bytes], int]()
    for number, (document, value) in enumerate(values):
        if not value.isalpha():
            known.setdefault((document, value), number)
    return [_again(some, buffer.text, known, every) for some, buffer in zip(tokens, buffers, strict=True)]


def _told(spans: Spans) -> Spans:
    lengths = spans.ends - spans.starts
    kinds = [number for number, name in enumerate(spans.names) if name in TOLD]
    return spans.take(np.isin(spans.kinds, kinds) & (lengths >= _SHORTEST) & (lengths <= _LONGEST))


def _again(tokens: _Tokens, content: bytes, known: dict[tuple[int, bytes], int], every: Spans) -> Spans:
    """The tokens that are known, as those of `every` that they are like."""
    places = list[tuple[int, int, int]]()
    for document, start, end in zip(*(column.tolist() for column in tokens), strict=True):
        first, last = start + (content[start] in _SIGN), end - (content[end - 1] in _SIGN)
        for place in ((start, end), (first, end), (start, last), (first, last)):
            number = known.get((document, content[slice(*place)]))
            if number is not None:
                places.append((number, *place))
                break
    like, starts, ends = np.array(places, dtype=np.int64).reshape(-1, 3).T
    same = every.take(like)
    return Spans(every.names, same.kinds, starts, ends, same.scores, same.checked)


class _Tokens(NamedTuple):
    """In ascending order: of which document each is, where it starts, and where it ends."""

    documents: Offsets
    starts: Offsets
    ends: Offsets

    def apart(self, spans: Spans) -> _Tokens:
        free = apart(self, spans)
        return _Tokens(*(column[free] for column in self))


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
