"""Values that their word announces: `微信号：abc_123`, `password=…`, or the name of their field."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import Areas
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.recognisers.words import BITS, Words

_WECHAT = re.compile(
    r"[\s:=\"'(\[]{0,4}(?:：|号|是|为|ID|id|[\s:=\"']){0,6}([A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_@.-])".encode()
)
_SECRET = re.compile(
    r"(?:是|为|[\s\"']){0,6}(?:=>|[:=]|：)\s{0,4}[\"']?([!-~]{6,256})|(?:是|为)\s{0,4}([!-~]{6,256})".encode()
)
_FARTHEST = 300
_WHOLE_WECHAT = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{5,19}")
_LETTER, _NO_LETTER = re.compile(rb"[A-Za-z]"), re.compile(rb"[^A-Za-z_.]")


def find(searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """`searched` has margins, unlike the offsets of `areas` and `words`."""
    for name, kind, expression in (("wechat", "WECHAT", _WECHAT), ("secret", "API_KEY", _SECRET)):
        if kind in out.wanted and len(areas.starts):
            _after_words(searched, areas, words, name, kind, expression, out)
    if out.wanted & {"WECHAT", "API_KEY"}:
        _named_fields(searched, areas, words, out)


def _after_words(
    searched: bytes, areas: Areas, words: Words, name: str, kind: str, expression: re.Pattern[bytes], out: Candidates
) -> None:
    """A value ends with the area that its word stands in or, where that is a field's name, that follows."""
    ends = words.ends[(words.bits & BITS[name]) > 0]
    area = np.minimum(np.searchsorted(areas.ends, ends), len(areas.ends) - 1)
    limits = np.minimum(ends + _FARTHEST, areas.ends[area])
    over = 0
    for end, limit in zip((ends + MARGIN).tolist(), (limits + MARGIN).tolist(), strict=True):
        found = expression.match(searched, end, limit) if end >= over else None
        if not found:
            continue
        first, last = found.span(1 if found[1] is not None else 2)
        while last > first and searched[last - 1] in b"\"',;.)]}>":
            last -= 1
        if last - first >= 6 and (kind != "API_KEY" or _secret(searched[first:last])):
            out.add_one(kind, first, last, 0.65)
            over = last  # a word within a value announces nothing


def _named_fields(searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """Fields called `wechat`, `password`, … whose whole value is one."""
    named = words.of_names(areas)
    short = (areas.ends - areas.starts >= 6) & (areas.ends - areas.starts <= 256)
    for name, kind in (("wechat", "WECHAT"), ("secret", "API_KEY")):
        for index in np.flatnonzero(short & ((named & BITS[name]) > 0)).tolist():
            start, end = int(areas.starts[index]) + MARGIN, int(areas.ends[index]) + MARGIN
            text = searched[start:end]
            if _WHOLE_WECHAT.fullmatch(text) if kind == "WECHAT" else _secret(text) and b" " not in text:
                out.add_one(kind, start, end, 0.65)


def _secret(text: bytes) -> bool:
    """Not a plain word or number: letters together with digits or signs."""
    return bool(_LETTER.search(text) and _NO_LETTER.search(text)) and not text.startswith(b"http")
