"""Values that their word announces: `微信号：abc_123`, `password=…`, or the name of their field."""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np

from services.runtime.deid.buffers import APART, Areas, Bytes, Offsets
from services.runtime.deid.recognisers import secret_values
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.recognisers.secret_values import is_secret
from services.runtime.deid.recognisers.words import BITS, Words

_ID = (
    r"(?!(?:[vVwW][xX]|[vV])[12][0-9]{10}(?![0-9A-Za-z_])|wxid_[0-9A-Za-z]{12})([A-Za-z][A-Za-z0-9_-]{5,19})"
    r"(?![A-Za-z0-9_@-]|\.[A-Za-z0-9]|\s?版)"
)
_LEADS = r"(?:[\s:=\"'(\[]|：|（|【|“|‘|「|『|是|为)"
_NAMED = (
    r"(?:[\s\"']{0,3}(?::|：)|(?:账号|帐号|号)|[\s_]?(?:[Ii][Dd]|[Nn]o|[Nn]umber)(?![A-Za-z]))"
    rf"(?:码|{_LEADS}){{0,6}}"
)
_BESIDE = (  # products and words of code stand there, too: with a digit, or with a sign after 加
    rf"(?:(?<=[^\x00-\x7f])|(?![A-Za-z0-9]))"
    rf"(?:搜索|搜|加|添加|联系|公众号|订阅号|服务号|{_LEADS}){{0,8}}(?=[A-Za-z_-]{{1,19}}[0-9])"
    rf"|(?:(?<=加微信)|(?<=我微信)|(?<=我的微信)){_LEADS}{{0,4}}(?=[A-Za-z]{{1,19}}[_-])"
)
_WECHAT = re.compile(rf"(?:{_NAMED}|{_BESIDE}){_ID}".encode())
_NEXT_TURN = re.compile(
    r"[^\nA-Za-z0-9]{0,24}(?:\n|  )[^\n:]{1,36}?(?::|：)\s{0,2}"  # a line break, or an escaped one
    rf"(?=[A-Za-z]{{0,19}}[0-9_-]){_ID}".encode()
)
_WXID = re.compile(rb"_([0-9A-Za-z]{12,32})(?![0-9A-Za-z_])")
_MAC = re.compile(r"(?:地址|\s?addr(?:ess)?)?[\s:=\"'：]{0,6}([0-9A-Fa-f]{12})(?![0-9A-Za-z])".encode())
_PASSPORT = re.compile(
    r"(?:[\s:=#\"'(]|：|（|号码|号|是|为|no\.?|number|is){0,6}((?!(?:no|is)[^A-Za-z])"
    r"[a-z]{1,2}(?:[ -][0-9]{7,8}|[ -]?[0-9]{4}[ -][0-9]{3,4}))(?![0-9a-z])".encode(),
    re.IGNORECASE,
)
_FARTHEST = 300
_SCORE = 0.65
_GAP = b'": "'
_WHOLE_WECHAT = re.compile(rb"(?!wxid_[0-9A-Za-z]{12})[A-Za-z][A-Za-z0-9_-]{5,19}")
_AFTER = (
    ("wechat", "WECHAT", _WECHAT),
    ("wechat", "WECHAT", _NEXT_TURN),
    ("wxid", "WECHAT", _WXID),
    ("secret", "API_KEY", secret_values.ASSIGNED),
    ("pass", "API_KEY", secret_values.ASSIGNED),
    ("secret", "API_KEY", secret_values.ARGUMENT),
    ("secret", "API_KEY", secret_values.KEY_TOLD),
    ("password", "API_KEY", secret_values.TOLD),
    ("password", "API_KEY", secret_values.BESIDE),
    ("password", "API_KEY", secret_values.PIN),
    ("bearer", "API_KEY", secret_values.BEARER),
    ("mac", "MAC", _MAC),
    ("passport", "PASSPORT", _PASSPORT),
)


def find(searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """`searched` has margins, unlike the offsets of `areas` and `words`."""
    if not len(areas.starts):
        return
    search = _Search(searched, areas, words, out)
    for name, kind, expression in _AFTER:
        if kind in out.wanted:
            search.after_words(name, kind, expression)
            search.in_cells(name, kind, expression)
    if out.wanted & {"WECHAT", "API_KEY"}:
        _named_fields(searched, areas, words, out)


class _Search:
    """Of one content, for whatever its words announce."""

    def __init__(self, searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
        self._searched, self._areas, self._words, self._out = searched, areas, words, out
        self._content: Bytes = np.frombuffer(searched, dtype=np.uint8)

    def after_words(self, name: str, kind: str, expression: re.Pattern[bytes]) -> None:
        """A value ends with the area that its word stands in or, where that is a field's name, that follows."""
        areas = self._areas
        ends = self._words.ends[(self._words.bits & BITS[name]) > 0]
        if kind == "API_KEY":
            ends = self._worth_a_look(ends, expression)
        area = np.minimum(np.searchsorted(areas.ends, ends), len(areas.ends) - 1)
        limits = np.minimum(ends + _FARTHEST, areas.ends[area])
        over, places = 0, list[tuple[int, int]]()
        for end, limit in zip((ends + MARGIN).tolist(), (limits + MARGIN).tolist(), strict=True):
            found = expression.match(self._searched, end, limit) if end >= over else None
            if found and (place := _value(found, kind)):
                over = place[1]  # a word within a value announces nothing
                places.append(place)
        self._out.add_all(kind, places, _SCORE)

    def in_cells(self, name: str, kind: str, expression: re.Pattern[bytes]) -> None:
        """What stands apart from its name is read as a value of JSON after it is."""
        searched, areas = self._searched, self._areas
        of_class = (self._words.bits & BITS[name]) > 0
        starts, ends = self._words.starts[of_class], self._words.ends[of_class]
        if not len(ends) or not len(self._apart):
            return
        last = np.searchsorted(ends, areas.name_ends[self._apart], side="right") - 1
        named = (last >= 0) & (starts[last] >= areas.name_starts[self._apart])
        for index, word_end in zip(self._apart[named].tolist(), ends[last[named]].tolist(), strict=True):
            rest = searched[word_end + MARGIN : int(areas.name_ends[index]) + MARGIN] + _GAP
            start = int(areas.starts[index]) + MARGIN
            value = searched[start : min(int(areas.ends[index]) + MARGIN, start + _FARTHEST)]
            found = expression.match(rest + value)
            if found and (place := _value(found, kind)) and place[0] >= len(rest):
                self._out.add_one(kind, start + place[0] - len(rest), start + place[1] - len(rest), _SCORE)

    def _worth_a_look(self, ends: Offsets, expression: re.Pattern[bytes]) -> Offsets:
        """Words that what the expression begins with follows, and not too far away what every secret has."""
        first = secret_values.FIRST[expression][self._content[ends + MARGIN]]
        if expression is secret_values.BESIDE:
            first |= self._content[ends + MARGIN - 1] >= 0x80
        ends = ends[first]
        if not len(ends):
            return ends
        following = np.searchsorted(self._signs, ends + MARGIN)
        near = following < len(self._signs)
        near[near] = self._signs[following[near]] - MARGIN - ends[near] <= _FARTHEST
        return ends[near]

    @cached_property
    def _signs(self) -> Offsets:
        return np.flatnonzero(secret_values.SIGNS[self._content])

    @cached_property
    def _apart(self) -> Offsets:
        """The areas with a name that is not beside them: cells of tables, and what was decoded."""
        areas, after = self._areas, self._content[self._areas.name_ends + MARGIN]
        return np.flatnonzero((areas.name_ends > areas.name_starts) & ((after == APART[0]) | (after == ord("\n"))))


def _value(found: re.Match[bytes], kind: str) -> tuple[int, int] | None:
    """Where it is, without the signs that close what it stands in; none where it is no such value."""
    first, last = found.span(found.lastindex or 0)
    while last > first and found.string[last - 1] in b"\"',;.)]}>\\":
        last -= 1
    if found.re is secret_values.PIN or (last - first >= 6 and (kind != "API_KEY" or _fits(found))):
        return first, last
    return None


def _fits(found: re.Match[bytes]) -> bool:
    value = found[found.lastindex or 0]
    return is_secret(value, bare=found.lastgroup in ("bare", "said"), said=found.re in _SENTENCES)


_SENTENCES = (secret_values.KEY_TOLD, secret_values.TOLD, secret_values.BESIDE)


def _named_fields(searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """Fields called `wechat`, `token`, … whose whole value is one, and whatever a field called `password` holds."""
    named = words.of_names(areas)
    short = (areas.ends - areas.starts >= 6) & (areas.ends - areas.starts <= 256)
    for name, kind in (("wechat", "WECHAT"), ("secret", "API_KEY")):
        for index in np.flatnonzero(short & ((named & BITS[name]) > 0)).tolist():
            start, end = int(areas.starts[index]) + MARGIN, int(areas.ends[index]) + MARGIN
            text = searched[start:end]
            if _WHOLE_WECHAT.fullmatch(text) if kind == "WECHAT" else is_secret(text) and b" " not in text:
                out.add_one(kind, start, end, _SCORE)
    if "API_KEY" in out.wanted:
        passwords = words.of_names(areas, whole=True) & BITS["password"] > 0
        passwords &= (areas.ends > areas.starts) & (areas.ends - areas.starts <= 256)
        for index in np.flatnonzero(passwords).tolist():
            start, end = int(areas.starts[index]) + MARGIN, int(areas.ends[index]) + MARGIN
            if not secret_values.is_template(searched[start:end]):
                out.add_one("API_KEY", start, end, _SCORE)
