"""Values that their word announces: `微信号：abc_123`, `password=…`, or the name of their field."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

import numpy as np

from services.runtime.deid.buffers import APART, Areas, Buffer, Bytes, Flags, Offsets
from services.runtime.deid.recognisers import command_options, secret_values
from services.runtime.deid.recognisers.between import MARKUP
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.recognisers.said import Said
from services.runtime.deid.recognisers.secret_values import is_secret, is_token
from services.runtime.deid.recognisers.value_forms import Announced, Form
from services.runtime.deid.recognisers.vocabulary import BITS
from services.runtime.deid.recognisers.words import Words

_ID = (
    r"(?!(?:[vVwW][xX]|[vV])[12][0-9]{10}(?![0-9A-Za-z_])|wxid_[0-9A-Za-z]{12})([A-Za-z][A-Za-z0-9_-]{5,19}+)"
    r"(?![A-Za-z0-9_@-]|\.[A-Za-z0-9]|\s?版)"
)
_LEADS = rf"(?:[\s:=\"'(\[]|：|（|【|“|‘|「|『|是|为|{MARKUP})"
_NAMED = (
    rf"(?:(?:[\s\"']|{MARKUP}){{0,3}}+(?::|：)|>(?=[^<>\n]{{1,36}}+</)|(?:账号|帐号|号)|[\s_]?(?:[Ii][Dd]|[Nn]o|[Nn]umber)(?![A-Za-z]))"
    rf"(?:码|[Ii][Dd](?![A-Za-z0-9_-])|{_LEADS}){{0,6}}+"
)
_PRODUCT = (
    r"(?i:pay|android|ios|iphone|ipad|windows|win|mac(?:os)?|linux|web|pc|sdk|api|js(?:api|sdk)?|app|open|work|crypt|bot"
    r"|version|ver|v(?=[0-9]))(?![a-z]|_[a-z]{2})"
)
"""What follows the name where it is the service's: `微信Pay2023`, `微信 SDK2`."""
_BESIDE = (  # products and words of code stand there, too: with a digit, or with a sign after 加
    rf"(?:(?<=[^\x00-\x7f])|(?![A-Za-z0-9]))"
    rf"(?:搜索|搜|加|添加|联系|同号|就是|还是|公众号|订阅号|服务号|{_LEADS}){{0,8}}+(?!{_PRODUCT})(?=[A-Za-z_-]{{1,19}}+[0-9])"
    rf"|(?<=微信)(?:(?<=加微信)|(?<=我微信)|(?<=我的微信)){_LEADS}{{0,4}}+(?=[A-Za-z]{{1,19}}+[_-])"
)
_WECHAT = Form(rf"(?:{_NAMED}|{_BESIDE}){_ID}")
_PLUS = Form(
    rf"(?<![A-Za-z0-9_)\]]\+[vV])(?<![A-Za-z0-9_)\]] \+[vV])(?:[\s:]|：){{1,4}}+(?=[A-Za-z_-]{{1,19}}+[0-9]){_ID}"
)
"""`+V …`: with an operand before it is a sum."""
_NEXT_TURN = Form(
    r"(?:[^\nA-Za-z0-9]{0,24}+\n|(?>[^\nA-Za-z0-9]{0,24}?  )"  # a line break, or the first escaped one
    r"|[\"']\s{0,2}:\s{0,2}[\"'](?=[^\n:\"']{1,36}?(?::|：)))"  # or a field, up to the end of its value
    r"(?=[^\n:\xef]{0,36}+[:\xef])[^\n:]{1,36}?(?::|：)\s{0,2}"
    rf"(?=[A-Za-z]{{0,19}}[0-9_-]){_ID}"
)
_WXID = Form(r"_([0-9A-Za-z]{12,32})(?![0-9A-Za-z_])")
_MAC = Form(
    r"(?:地址|[\s_-]?(?i:addr(?:ess)?))?[\s:=\"'：]{0,6}((?!0{4}-?0{4}-?0{4}|(?i:f{4}-?f{4}-?f{4}))"
    r"[0-9A-Fa-f]{4}(?:-[0-9A-Fa-f]{4}-|[0-9A-Fa-f]{4})[0-9A-Fa-f]{4})(?![0-9A-Za-z-])"
)
_PASSPORT = Form(
    r"(?i:(?:[\s:=#\"'(]|：|（|号码|号|是|为|no\.?|number|is){0,6}((?!(?:no|is)[^A-Za-z])"
    r"[a-z]{1,2}(?:[ -][0-9]{7,8}|[ -]?[0-9]{4}[ -][0-9]{3,4})"
    r"|(?=[a-z]{1,3}[0-9]{1,7}[a-z])(?=(?:[a-z]{0,5}[0-9]){5})[a-z][0-9a-z]{8})(?![0-9a-z]))"
)
_LETTER, _MARK = "[A-HJ-NP-Za-hj-np-z]", "(?:[ -]|·|•)?"
_PLATE = Form(
    r"(?:号码?|[\s:=\"'(]|：|（|是|为|民|WJ\s?){0,6}("
    rf"(?:军|海|空|沈|兰|济|南|广|成|北){_LETTER}{_MARK}[0-9]{{5}}|航{_LETTER}{_MARK}[0-9]{{4}}"
    rf"|(?:使|领)[0-9]{{3}}(?:·)?[0-9]{{3}}"
    rf"|(?:(?<=WJ)|(?<=WJ ))[\xe4-\xe9][\x80-\xbf]{{2}}{_MARK}"
    rf"(?:{_LETTER}[0-9]{{4}}|[0-9]{{4}}(?:[0-9]|{_LETTER}))"
    rf"|(?<![A-Za-z]){_LETTER}{{2}}{_MARK}[0-9]{{5}})(?![0-9A-Za-z])"
)
"""Of the army, the armed police, embassies and airports: their series have no sign of a province and a letter."""
_FARTHEST = 300
_SCORE = 0.65
_GAP = b'": "'
_WHOLE_WECHAT = re.compile(rb"(?!wxid_[0-9A-Za-z]{12})[A-Za-z][A-Za-z0-9_-]{5,19}")
_AFTER = {
    "WECHAT": Announced({"wechat": (_WECHAT, _NEXT_TURN), "plus": (_PLUS,), "wxid": (_WXID,)}),
    "API_KEY": Announced(
        {
            "secret": (
                secret_values.ASSIGNED,
                secret_values.ARGUMENT,
                secret_values.KEY_TOLD,
                secret_values.ELEMENT,
                secret_values.ATTRIBUTE,
                secret_values.KEY_BESIDE,
            ),
            "token": (
                secret_values.TOKEN_ASSIGNED,
                secret_values.TOKEN_NAMED,
                secret_values.ARGUMENT,
                secret_values.KEY_TOLD,
                secret_values.TOKEN_ELEMENT,
                secret_values.ATTRIBUTE,
                secret_values.KEY_BESIDE,
            ),
            "pass": (secret_values.ASSIGNED,),
            "short": (secret_values.SHORT_NAMED,),
            "password": (
                secret_values.TOLD,
                secret_values.BESIDE,
                secret_values.MARKED,
                secret_values.CELL,
                secret_values.SETTER,
                secret_values.PIN,
                secret_values.QUALIFIED,
                secret_values.QUALIFIED_PIN,
            ),
            "key": (secret_values.NAMED_KEY,),
            "authorization": (secret_values.HEADER,),
            "pin": (secret_values.PIN_CODE,),
            "keys": (secret_values.KEY_PAIR,),
            "client": (command_options.ATTACHED,),
            "login": (command_options.PASSWORD,),
            "redis": (command_options.AUTHENTICATION,),
            "curl": (command_options.USER,),
            "wandb": (command_options.KEY,),
            "option": (command_options.TOKEN,),
            "bearer": (secret_values.BEARER,),
        }
    ),
    "MAC": Announced({"mac": (_MAC,)}),
    "PASSPORT": Announced({"passport": (_PASSPORT,)}),
    "CN_PLATE": Announced({"plate": (_PLATE,)}),
}


def find(searched: bytes, buffer: Buffer, words: Words, out: Candidates) -> None:
    """`searched` has margins, unlike the offsets of `buffer` and `words`."""
    areas = buffer.areas
    if not len(areas.starts):
        return
    search = _Search(searched, buffer, words, out)
    for kind in sorted(out.wanted & _AFTER.keys()):
        search.after_words(kind)
        search.in_cells(kind)
    if out.wanted & {"WECHAT", "API_KEY"}:
        _named_fields(searched, areas, words, out)


def is_wechat(text: bytes) -> bool:
    return _WHOLE_WECHAT.fullmatch(text) is not None


class _Search:
    """Of one content, for whatever its words announce."""

    def __init__(self, searched: bytes, buffer: Buffer, words: Words, out: Candidates) -> None:
        self._searched, self._areas, self._words, self._out = searched, buffer.areas, words, out
        self._said = Said(searched, buffer)
        self._content: Bytes = np.frombuffer(searched, dtype=np.uint8)

    def after_words(self, kind: str) -> None:
        """A value ends with the area that its word stands in or, where that is a field's name, that follows."""
        areas, announced = self._areas, _AFTER[kind]
        ends, choices = self._announcing(kind)
        area = np.minimum(np.searchsorted(areas.ends, ends), len(areas.ends) - 1)
        area += self._names_next[area]
        limits = np.minimum(ends + _FARTHEST, areas.ends[area])
        find = {choice: announced.chosen(choice).find for choice in np.unique(choices).tolist()}
        begin, over, places = 0, 0, list[tuple[int, int]]()
        ends, limits = ends + MARGIN, limits + MARGIN
        escaped = self._said.have_escapes(ends, limits)
        said = self._said.stretches(ends[escaped], limits[escaped])
        starts = ends.copy()
        starts[escaped], limits[escaped] = said.starts, said.limits
        columns = (column.tolist() for column in (ends, starts, limits, choices, escaped))
        for end, start, limit, choice, is_escaped in zip(*columns, strict=True):
            if begin < end < over:  # a word within a value announces nothing
                continue
            if place := find[choice](said.text if is_escaped else self._searched, start, limit):
                begin, over = said.place(*place) if is_escaped else place
                places.append((begin, over))
        self._out.add_all(kind, places, _SCORE, told=True)

    def _announcing(self, kind: str) -> tuple[Offsets, Offsets]:
        """Where words end that something may follow, with the choices of what."""
        choices = _AFTER[kind].choices(self._words.bits)
        announcing = np.flatnonzero(choices)
        at, choices = self._words.ends[announcing] + MARGIN, choices[announcing]
        choices = _AFTER[kind].beginning(choices, self._content[at - 1], self._said.signs(at))
        worth = choices > 0
        if kind == "API_KEY" and worth.any():
            following = np.append(self._signs, len(self._content))[np.searchsorted(self._signs, at)]
            worth &= following - at <= _FARTHEST
        return at[worth] - MARGIN, choices[worth]

    def in_cells(self, kind: str) -> None:
        """What stands apart from its name is read as a value of JSON after it is."""
        searched, areas, announced = self._searched, self._areas, _AFTER[kind]
        if not len(self._apart):
            return
        choices = announced.choices(self._words.bits)
        announcing = np.flatnonzero(choices)
        starts, ends, choices = self._words.starts[announcing], self._words.ends[announcing], choices[announcing]
        if not len(ends):
            return
        ends, first = np.unique(ends, return_index=True)  # of several words that end together all count
        starts, choices = np.maximum.reduceat(starts, first), np.bitwise_or.reduceat(choices, first)
        last = np.searchsorted(ends, areas.name_ends[self._apart], side="right") - 1
        named = (last >= 0) & (starts[last] >= areas.name_starts[self._apart])
        last = last[named]
        columns = self._apart[named].tolist(), ends[last].tolist(), choices[last].tolist()
        for index, word_end, choice in zip(*columns, strict=True):
            name_start, name_end = int(areas.name_starts[index]) + MARGIN, int(areas.name_ends[index]) + MARGIN
            name, start = searched[name_start:name_end] + _GAP, int(areas.starts[index]) + MARGIN
            text = name + searched[start : min(int(areas.ends[index]) + MARGIN, start + _FARTHEST)]
            place = announced.chosen(choice).find(text, word_end + MARGIN - name_start, len(text), len(name))
            if place:
                self._out.add_one(kind, start + place[0] - len(name), start + place[1] - len(name), _SCORE, told=True)

    @cached_property
    def _names_next(self) -> Flags:
        """The areas that are the name of the one after them."""
        areas = self._areas
        names = (areas.name_starts[1:] == areas.starts[:-1]) & (areas.name_ends[1:] == areas.ends[:-1])
        return np.append(names, False)

    @cached_property
    def _signs(self) -> Offsets:
        return np.flatnonzero(secret_values.SIGNS[self._content])

    @cached_property
    def _apart(self) -> Offsets:
        """The areas with a name that is not beside them: cells of tables, and what was decoded."""
        areas, after = self._areas, self._content[self._areas.name_ends + MARGIN]
        return np.flatnonzero((areas.name_ends > areas.name_starts) & ((after == APART[0]) | (after == ord("\n"))))


def _named_fields(searched: bytes, areas: Areas, words: Words, out: Candidates) -> None:
    """Fields called `wechat`, `token`, … whose whole value is one, and whatever a field called `password` holds."""
    named = words.of_names(areas)
    short = (areas.ends - areas.starts >= 6) & (areas.ends - areas.starts <= 256)
    for name, (kind, is_whole) in _WHOLE.items():
        for index in np.flatnonzero(short & ((named & BITS[name]) > 0)).tolist():
            start, end = int(areas.starts[index]) + MARGIN, int(areas.ends[index]) + MARGIN
            if is_whole(searched[start:end]):
                out.add_one(kind, start, end, _SCORE, told=True)
    if "API_KEY" in out.wanted:
        passwords = np.flatnonzero(named & BITS["password"])
        passwords = passwords[words.of_names(areas.take(passwords), whole=True) & BITS["password"] > 0]
        lengths = areas.ends[passwords] - areas.starts[passwords]
        for index in passwords[(lengths > 0) & (lengths <= 256)].tolist():
            start, end = int(areas.starts[index]) + MARGIN, int(areas.ends[index]) + MARGIN
            for first, last in secret_values.passwords(searched, start, end):
                out.add_one("API_KEY", first, last, _SCORE, told=True)


_WHOLE: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "wechat": ("WECHAT", is_wechat),
    "secret": ("API_KEY", lambda text: b" " not in text and is_secret(text)),
    "token": ("API_KEY", lambda text: b" " not in text and is_token(text)),
}
