"""Chinese names that are told once, where the same document has them again without what told them."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import Buffer, Bytes, Offsets
from services.runtime.deid.recognisers.names import SURNAME, TITLES
from services.runtime.deid.recognisers.resolution import apart
from services.runtime.deid.spans import Spans
from services.runtime.deid.spellings import both

_WIDTH = 3
"""Bytes of a 汉字."""
_SHORTEST, _LONGEST = 2 * _WIDTH, 4 * _WIDTH
_HAN = r"[\u4e00-\u9fa5]"
_NAME, _PSEUDONYM = re.compile(rf"{SURNAME}{_HAN}{{1,2}}"), re.compile(rf"{_HAN}{{2,4}}")
_TITLE, _COURTESY = re.compile(both(TITLES).encode()), frozenset(way.encode() for way in ("先生", "女士", "小姐"))
_BEFORE = re.compile(rf"(?:(?!{_HAN})(?s:.)|[为為是和与與跟同给給让讓请請由对對向把被找问問替及到])\Z|\A\Z")
_AFTER = re.compile(
    rf"(?!{_HAN})|[的说說是来來去在要已有打和与與跟同也就都不会會能想问問让讓请請回答反表因将將从從到收发發提称稱先女]"
)
"""Beside a name of two characters, which may as well be parts of two words."""


def names_again(spans: Spans, buffer: Buffer, *, pseudonyms: bool) -> Spans:
    """The names, apart from `spans`, that those tell in the same document; `pseudonyms`: whose surnames may be any.

    A name of two characters needs more than its title to be told, one of more than that a title of courtesy.
    """
    known = _known(spans, buffer, _PSEUDONYM if pseudonyms else _NAME)
    if not known:
        return Spans.none(spans.names)
    content, places, over = buffer.text, list[tuple[int, int, int]](), 0
    lengths = sorted({len(name) for _, name in known}, reverse=True)
    starts = _likely(buffer.bytes, {name for _, name in known})
    documents = np.searchsorted(buffer.documents, starts, side="right") - 1
    for start, document in zip(starts.tolist(), documents.tolist(), strict=True):
        for length in lengths:
            end = start + length
            index = known.get((document, content[start:end]))
            if index is not None and start >= over and (length > _SHORTEST or _is_whole(content, start, end)):
                places.append((index, start, end))
                over = end
                break
    like, first, last = np.array(places, dtype=np.int64).reshape(-1, 3).T
    same = spans.take(like)
    found = Spans(spans.names, same.kinds, first, last, same.scores, same.checked, same.told)
    return found.take(apart(found, spans))


def _known(spans: Spans, buffer: Buffer, form: re.Pattern[str]) -> dict[tuple[int, bytes], int]:
    """By document and name, the span that tells it."""
    lengths = spans.ends - spans.starts
    told = np.flatnonzero((spans.kinds == spans.names.index("PERSON")) & (lengths >= _SHORTEST) & (lengths <= _LONGEST))
    documents = np.searchsorted(buffer.documents, spans.starts[told], side="right") - 1
    known, content = dict[tuple[int, bytes], int](), buffer.text
    columns = documents, spans.starts[told], spans.ends[told], told
    for document, start, end, index in zip(*(column.tolist() for column in columns), strict=True):
        name = document, content[start:end]
        if name in known or not form.fullmatch(name[1].decode()):
            continue
        title = _TITLE.match(content, end)
        if not title or (title[0] in _COURTESY and end - start > _SHORTEST):
            known[name] = index
    return known


def _likely(content: Bytes, names: set[bytes]) -> Offsets:
    """Where two characters stand of which one begins a name, and the other is the second of one."""
    at = np.flatnonzero((content[: -_SHORTEST + 1] >= 0xE4) & (content[: -_SHORTEST + 1] <= 0xE9))
    for offset in (0, _WIDTH):
        wanted = np.zeros(1 << 16, dtype=np.bool_)
        wanted[[ord(name[offset : offset + _WIDTH].decode()) for name in names]] = True
        first, second, third = (content[at + offset + step].astype(np.int64) for step in range(_WIDTH))
        at = at[wanted[(first & 0x0F) << 12 | (second & 0x3F) << 6 | (third & 0x3F)]]
    return at


def _is_whole(content: bytes, start: int, end: int) -> bool:
    before = content[max(0, start - _WIDTH) : start].decode(errors="ignore")
    return bool(_BEFORE.search(before) and _AFTER.match(content[end : end + _WIDTH].decode(errors="ignore")))
