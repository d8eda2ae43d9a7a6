"""Values that nothing but their word told, where the same document has them again without it."""

from __future__ import annotations

import numpy as np

from services.runtime.deid.buffers import Buffer, Bytes, Offsets
from services.runtime.deid.reaches import LETTERS, among_bytes
from services.runtime.deid.spans import Spans

TOLD = frozenset({"WECHAT", "API_KEY", "QQ", "PHONE"})
"""Types whose form alone tells little."""
_SHORTEST, _LONGEST = 6, 256
_SIGNS = "@#$%^&*!?~+.-"
_TOKEN, _SIGN = among_bytes("0123456789_" + LETTERS + _SIGNS), among_bytes(_SIGNS)


def repeated(spans: Spans, buffer: Buffer) -> Spans:
    """The tokens of each document that are values which `spans` tell in it; those themselves are among them.

    A sign before or after a token may be the sentence's.
    """
    told = _told(spans)
    if not len(told):
        return Spans.none(spans.names)
    content = buffer.bytes
    documents = np.searchsorted(buffer.documents, spans.starts[told], side="right") - 1
    known = dict[tuple[int, bytes], int]()
    columns = told, documents, spans.starts[told], spans.ends[told]
    for index, document, start, end in zip(*(column.tolist() for column in columns), strict=True):
        known.setdefault((document, content[start:end].tobytes()), index)
    places = list[tuple[int, int, int]]()
    tokens = _tokens(buffer, np.unique(documents), np.unique(spans.ends[told] - spans.starts[told]))
    for document, start, end in zip(*(column.tolist() for column in tokens), strict=True):
        first, last = start + int(_SIGN[content[start]]), end - int(_SIGN[content[end - 1]])
        for place in ((start, end), (first, end), (start, last), (first, last)):
            if (document, value := content[slice(*place)].tobytes()) in known:
                places.append((known[document, value], *place))
                break
    like, starts, ends = np.array(places, dtype=np.int64).reshape(-1, 3).T
    same = spans.take(like)
    return Spans(spans.names, same.kinds, starts, ends, same.scores, same.checked)


def _told(spans: Spans) -> Offsets:
    lengths = spans.ends - spans.starts
    kinds = [number for number, name in enumerate(spans.names) if name in TOLD]
    return np.flatnonzero(np.isin(spans.kinds, kinds) & (lengths >= _SHORTEST) & (lengths <= _LONGEST))


def _tokens(buffer: Buffer, documents: Offsets, lengths: Offsets) -> tuple[Offsets, Offsets, Offsets]:
    """Of these documents: the document of each, where it starts, and where it ends.

    Only those that are as long as one of `lengths`, or by one or two signs longer.
    """
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
    return documents[part], starts + shift, ends + shift
