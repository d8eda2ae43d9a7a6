"""Values that their word announces: `微信号：abc_123`, `password=…`, or the name of their field."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import Areas
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.recognisers.words import BITS, Words

_WECHAT = re.compile(
    r"[\s:=\"'(\[]{0,4}(?:：|号|是|为|ID|id|[\s:=\"']){0,6}"
    r"(?!(?:[vVwW][xX]|[vV])[12][0-9]{10}(?![0-9A-Za-z_]))([A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_@.-])".encode()
)
_NEXT_TURN = re.compile(
    r"[^\nA-Za-z0-9]{0,24}(?:\n|  )[^\n:]{1,36}?(?::|：)\s{0,2}"  # a line break, or an escaped one
    r"(?=[A-Za-z]{0,19}[0-9_-])([A-Za-z][A-Za-z0-9_-]{5,19})(?![A-Za-z0-9_@.-])".encode()
)
_SECRET = re.compile(
    r"(?:是|为|[\s\"']){0,6}(?:=>|[:=]|：)\s{0,4}(?:\"([ !#-~]{6,64})\"|'([ -&(-~]{6,64})'|[\"']?([!-~]{6,256}))|"
    r"(?:是|为)\s{0,4}([!-~]{6,256})".encode()
)
_PIN = re.compile(r"(?:是|为|[\s\"']|=>|[:=]|：){0,6}([0-9]{4,32})(?![0-9A-Za-z]|[.][0-9])".encode())
_BEARER = re.compile(rb"\s{1,4}((?=[!-~]{0,4096}?[0-9])[A-Za-z0-9._~+/-]{16,4096}={0,2})")
_MAC = re.compile(r"(?:地址|\s?addr(?:ess)?)?[\s:=\"'：]{0,6}([0-9A-Fa-f]{12})(?![0-9A-Za-z])".encode())
_FARTHEST = 300
_WHOLE_WECHAT = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{5,19}")
_LETTER, _NO_LETTER = re.compile(rb"[A-Za-z]"), re.compile(rb"[^A-Za-z_.]")
_AFTER = (
    ("wechat", "WECHAT", _WECHAT),
    ("wechat", "WECHAT", _NEXT_TURN),
    ("secret", "API_KEY", _SECRET),
    ("password", "API_KEY", _PIN),
    ("bearer", "API_KEY", _BEARER),
    ("mac", "MAC", _MAC),
)


def find(searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """`searched` has margins, unlike the offsets of `areas` and `words`."""
    for name, kind, expression in _AFTER:
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
        first, last = found.span(found.lastindex or 0)
        while last > first and searched[last - 1] in b"\"',;.)]}>":
            last -= 1
        if expression is _PIN or (last - first >= 6 and (kind != "API_KEY" or _secret(searched[first:last]))):
            out.add_one(kind, first, last, 0.65)
            over = last  # a word within a value announces nothing


def _named_fields(searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """Fields called `wechat`, `token`, … whose whole value is one, and whatever a field called `password` holds."""
    named = words.of_names(areas)
    short = (areas.ends - areas.starts >= 6) & (areas.ends - areas.starts <= 256)
    for name, kind in (("wechat", "WECHAT"), ("secret", "API_KEY")):
        for index in np.flatnonzero(short & ((named & BITS[name]) > 0)).tolist():
            start, end = int(areas.starts[index]) + MARGIN, int(areas.ends[index]) + MARGIN
            text = searched[start:end]
            if _WHOLE_WECHAT.fullmatch(text) if kind == "WECHAT" else _secret(text) and b" " not in text:
                out.add_one(kind, start, end, 0.65)
    if "API_KEY" in out.wanted:
        passwords = words.of_names(areas, whole=True) & BITS["password"] > 0
        passwords &= (areas.ends > areas.starts) & (areas.ends - areas.starts <= 256)
        out.add("API_KEY", areas.starts[passwords] + MARGIN, areas.ends[passwords] + MARGIN, 0.65)


def _secret(text: bytes) -> bool:
    """Not plain words or a number: letters together with digits or signs."""
    text = text.replace(b" ", b"")
    return bool(_LETTER.search(text) and _NO_LETTER.search(text)) and not text.startswith(b"http")
