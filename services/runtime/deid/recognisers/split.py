"""Values that their word announces, in groups of any length: `身份证：1101 0519 4912 3100 2X`."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from services.runtime.deid.buffers import Buffer, Runs
from services.runtime.deid.checksums import USCC_ALPHABET
from services.runtime.deid.recognisers.between import MARKUP
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.digits import born_in_a_province
from services.runtime.deid.recognisers.forms import Forms
from services.runtime.deid.recognisers.groups import MARGIN, Groups
from services.runtime.deid.recognisers.vocabulary import BITS
from services.runtime.deid.recognisers.words import Words
from services.runtime.deid.spellings import both

_BETWEEN = re.compile(
    both(rf"(?:[\s:=#(\"'.>-]|：|（|？|是|为|号码|号|no|number|is|{MARKUP}){{0,8}}").encode(),
    re.IGNORECASE,
)
_BANK = both(r"(?:(?:[\xe4-\xe9][\x80-\xbf]{2}){1,24}行(?:[\s:]|：|，){0,2})?").encode()
_BEFORE_ACCOUNT = re.compile(_BETWEEN.pattern + _BANK, re.IGNORECASE)
"""An account may stand after the name of its bank."""
_FARTHEST, _FARTHEST_ACCOUNT, _FARTHEST_GROUP = 20, 100, 3
_DIGITS = re.compile(rb"[0-9]{1,18}([ ./-]{1,2})[0-9]{1,18}(?:\1[0-9]{1,18}){0,18}(?![0-9A-Za-z])")
_TABBED = re.compile(_DIGITS.pattern.replace(b"[ ", b"[\t "))
"""Also by tabs, which stand between the values of a table, too: for what only a form of its own tells."""
_PHONE = re.compile(rb"(?!1([ .-])[0-9]{3}\1[0-9]{3}\1[0-9]{4}(?![0-9]))" + _TABBED.pattern.replace(rb"\1", rb"\2"))
"""None of North America, `1-800-356-9377`."""
_GROUPED = re.compile(rb"[0-9]{3,4}(?: [0-9]{3,4})+(?![0-9A-Za-z-])")
"""By blanks alone, in groups that no amounts are in, for what has no form of its own."""
_DATE = re.compile(
    r"(?!0{4})(?:[0-9]{4}(?:([./-])[0-9]{1,2}\1|年[0-9]{1,2}月)[0-9]{1,2}(?:日)?"
    r"|[0-9]{1,2}([./-])[0-9]{1,2}\2[0-9]{4})(?![0-9A-SU-Za-z])".encode()
)
_EIGHTEEN = re.compile(rb"(?:[0-9A-Za-z][ \t-]?){17}[0-9A-Za-z](?![0-9A-Za-z])")
_LETTERS = re.compile(rb"(?<![A-Za-z])[A-Za-z]{1,2}[ -]?\Z")
"""That a code begins with."""
_SIGNS = b" ./-\t"
_SCORE = 0.65


def _resident(value: bytes, forms: Forms) -> str:
    if not value[:17].isdigit() or value[17:].upper() not in {b"X", *(b"%d" % digit for digit in range(10))}:
        return ""
    rows = np.frombuffer(value[:17], dtype=np.uint8)[None] - np.uint8(48)
    return "CN_ID" if born_in_a_province(forms, rows)[0] else ""


def _company(value: bytes, forms: Forms) -> str:
    text = value.decode().upper()
    return "CN_USCC" if text[0] in forms.departments and text[2:8].isdigit() and set(text) <= _USCC else ""


def _mobile(value: bytes, forms: Forms) -> str:
    return "CN_PHONE" if len(value) == 11 and forms.mobile[int(value[:2])] else ""


def _qq(value: bytes, forms: Forms) -> str:
    del forms
    return "QQ" if len(value) <= 11 and value[0] > ord("0") else ""


def _taiwan(value: bytes, forms: Forms) -> str:
    del forms
    return "TW_PERMIT" if len(value) == 8 else ""


def _no_day(value: bytes, forms: Forms) -> str:
    """A day of the calendar is found as one, which wins."""
    del value, forms
    return "NUMBER"


def _account(value: bytes, forms: Forms) -> str:
    """One of a card, or just of an account."""
    if not 12 <= len(value) <= 30:
        return ""
    return "BANK_CARD" if 16 <= len(value) <= 19 and forms.bank_issuers[int(value[:2])] else "NUMBER"


_USCC = frozenset(USCC_ALPHABET)
_Kind = Callable[[bytes, Forms], str]
_SPLIT: tuple[tuple[str, str, int, int, re.Pattern[bytes], int, re.Pattern[bytes], _Kind], ...] = (
    ("id", "CN_ID", 15, 17, _BETWEEN, _FARTHEST, _EIGHTEEN, _resident),
    ("uscc", "CN_USCC", 18, 0, _BETWEEN, _FARTHEST, _EIGHTEEN, _company),
    ("phone", "CN_PHONE", 11, 11, _BETWEEN, _FARTHEST, _PHONE, _mobile),
    ("qq", "QQ", 5, 6, _BETWEEN, _FARTHEST, _GROUPED, _qq),
    ("tw", "TW_PERMIT", 8, 8, _BETWEEN, _FARTHEST, _GROUPED, _taiwan),
    ("birth", "DATE", 5, 6, _BETWEEN, _FARTHEST, _DATE, _no_day),
    ("account", "NUMBER", 16, 12, _BEFORE_ACCOUNT, _FARTHEST_ACCOUNT, _DIGITS, _account),
)
"""Class of the word, a type that a policy must want, digits from which on the first group is a value by itself,
digits that closely following groups need, where letters are none of them, what may stand before the first, …
"""


def find(buffer: Buffer, groups: Groups, runs: Runs, words: Words, out: Candidates) -> None:
    if not len(runs.starts) or not len(words.ends):
        return
    there = words.every_bit()
    goes_on = np.append(runs.starts[1:] - runs.ends[:-1] <= _FARTHEST_GROUP, False)
    ahead = runs.digits_ahead(goes_on)
    for name, wanted, longest, least, between, farthest, expression, kind_of in _SPLIT:
        if wanted not in out.wanted or not there & BITS[name]:
            continue
        suitable = (goes_on | (least == 0)) & (runs.digits < longest) & (ahead >= least)
        found_after = words.followed(name, buffer, runs, suitable, farthest)
        area = buffer.area_of(runs.starts[[run for _, run in found_after]])
        for (before, run), limit in zip(found_after, (buffer.areas.ends[area] + MARGIN).tolist(), strict=True):
            start = int(runs.starts[run]) + MARGIN
            begins = [start]
            if expression is _EIGHTEEN:  # the letters before may be of the code, or of a word
                begins += [found.start() for found in _LETTERS.finditer(groups.searched, before + MARGIN, start)]
            for begin in reversed(begins):
                if not between.fullmatch(groups.searched, before + MARGIN, begin):
                    continue
                found = expression.match(groups.searched, begin, limit)
                kind = kind_of(found[0].translate(None, _SIGNS), groups.forms) if found else ""
                if found and kind:
                    out.add_one(kind if kind in out.wanted else "NUMBER", begin, found.end(), _SCORE, told=True)
                    break
