"""Phones of any numbering plan, told by a country code, by a word before them, by their field or their groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np

from services.runtime.deid.buffers import Buffer, Flags, Offsets, Runs
from services.runtime.deid.pseudonyms.plans import SERVICES
from services.runtime.deid.reaches import is_alphanumeric, is_letter
from services.runtime.deid.recognisers.between import MARKUP
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.words import Words
from services.runtime.deid.spellings import both

_GROUPS = re.compile(
    rb"[0-9]{1,15}(?:(?:[ .-]|(?:\)|\xef\xbc\x89) ?-?|[ -]?(?:\(|\xef\xbc\x88))[0-9]{1,12}){0,15}"  # also （ ）
    rb"(?![0-9]|[A-WYZa-df-wyz_])"
)
_BETWEEN = re.compile(
    both(rf"(?:[\s:=,.#+(\"'>-]|：|（|是|为|号码|号|no|number|at|on|is|me|us|him|her|them|{MARKUP}){{0,8}}").encode(),
    re.IGNORECASE,
)
_ALIKE = re.compile(rb"[0-9]{1,15}(?:([ .-])[0-9]{1,12}(?:\1[0-9]{1,12}){0,6})?(?![0-9]|[A-WYZa-df-wyz_])")
_MOST_DIGITS, _SIGNS = 15, bytes(sorted({*range(256)} - {*b"0123456789"}))
_QUANTITIES = re.compile(
    rb"(?:[0-9]{1,2} )?(?:(?:8|16|32|64|128|256|512|1024)(?: (?:8|16|32|64|128|256|512|1024))+"
    rb"|(?:19[89][0-9]|20[0-4][0-9])(?: (?:19[89][0-9]|20[0-4][0-9]))+|[1-9][0-9](?:00|99)(?: [1-9][0-9](?:00|99)){2,})"
)
"""Sizes of storage, years, and prices, as of phones that are sold."""
_FARTHEST = 20
_APART = re.compile(r"\s?(?:[,/;]|、|，|；|或|和|及|or|and)\s?(?=[0-9])".encode())
_LOCAL = (7, 8)
"""Digits of a phone without its area, which those of a list may leave out."""
_LONGEST_APART, _MOST_GROUPS = 5, 4
_LEAST, _LONGEST_LINK = 6, 5
_DIGIT = re.compile(rb"[0-9]")
_TWO_DIGIT_CODES = frozenset(
    b"20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 "
    b"90 91 92 93 94 95 98".split()
)
"""Country codes of ITU-T E.164 that have two digits; 1 and 7 have one, the others three."""


def find(buffer: Buffer, runs: Runs, words: Words, free: Flags, out: Candidates) -> None:
    """`free`: the runs that nothing was found in. What is marked begins after the country code."""
    if not out.wanted & PHONES or not free.any():
        return
    international = _international(buffer, runs, free).tolist()
    long = free & (runs.digits_ahead(_joined(buffer, runs)) >= _LEAST)
    with_others = _before_others(runs, free)
    announced = words.followed("phone", buffer, runs, long | with_others, _FARTHEST)
    content = buffer.text if international or announced else b""
    over, dialled, places = 0, frozenset(international), dict[str, list[tuple[int, int]]]()
    for run in international:
        start = int(runs.starts[run])
        if start >= over and (found := _number(content, start + 2 * content.startswith(b"00", start))):
            over = found.end()
            _add(content, found.start(), found.end(), 8, _code_length(found[0]), places)
    first = _three_three_four(buffer, runs, free)
    if "US_PHONE" not in out.wanted:
        first = first[_of_service(buffer, runs.starts[first])]
    out.add("PHONE", runs.starts[first], runs.ends[first + 2], 0.55)
    for before, run in announced:
        start = int(runs.starts[run])
        found = _number(content, start) if _BETWEEN.fullmatch(content, before, start) else None
        if not found or _QUANTITIES.fullmatch(found[0]):
            continue
        mobile = _HAN_MOBILE if content[before - 1] >= 0x80 else _MOBILE
        if long[run] and content[start - 1 : start] != b"+" and run not in dialled:
            _add(content, start, found.end(), _LEAST, 0 if mobile.match(found[0]) else None, places)
        for other in _others(content, found) if with_others[run] else ():
            _add(content, other.start(), other.end(), _LEAST, 0 if mobile.match(other[0]) else None, places)
    for kind, found_places in places.items():
        out.add_all(kind if kind in out.wanted else "PHONE", found_places, 0.6, told=True)


def _before_others(runs: Runs, free: Flags) -> Flags:
    """Which runs may begin a number that another one without an area follows closely, or after one more of a list."""
    following = np.append(runs.digits[1:], 0)
    local = free & (np.isin(runs.digits, _LOCAL) | ((runs.digits >= 3) & (runs.digits <= 4) & (following == 4)))
    local[1:] &= runs.starts[1:] - runs.ends[:-1] <= _LONGEST_APART
    found = np.zeros(len(local), dtype=np.bool_)
    for back in range(1, _MOST_GROUPS + 1):
        found[:-back] |= local[back:]
    return found


def _others(content: bytes, first: re.Match[bytes]) -> Iterator[re.Match[bytes]]:
    """What else a list of numbers has that begins with this one."""
    digits = (*_LOCAL, len(first[0].translate(None, _SIGNS)))
    found: re.Match[bytes] | None = first if digits[-1] >= _LEAST else None
    while found and (apart := _APART.match(content, found.end())):
        found = _number(content, apart.end())
        if found and len(found[0].translate(None, _SIGNS)) in digits and not _QUANTITIES.fullmatch(found[0]):
            yield found


def _joined(buffer: Buffer, runs: Runs) -> Flags:
    """Whether each run may go on with the next one, as links of groups are few bytes and no letters."""
    close = runs.starts[1:] - runs.ends[:-1] <= _LONGEST_LINK
    return np.append(close & ~is_letter(buffer.bytes[runs.starts[1:] - 1]), False)


def _number(content: bytes, start: int) -> re.Match[bytes] | None:
    """As far as it goes on or, where that is too far, as the links between its groups stay the same."""
    found = _GROUPS.match(content, start)
    if found and len(found[0]) > _MOST_DIGITS and len(found[0].translate(None, _SIGNS)) > _MOST_DIGITS:
        return _ALIKE.match(content, start)
    return found


def _international(buffer: Buffer, runs: Runs, free: Flags) -> Offsets:
    """Runs after a plus that nothing precedes, and those that begin with 00 and go on with other groups; ascending."""
    before = buffer.bytes[np.maximum(runs.starts - 1, 0)]
    signed = np.flatnonzero(free & (before == ord("+")) & (runs.starts > 0))
    earlier = buffer.bytes[np.maximum(runs.starts[signed] - 2, 0)]
    signed = signed[~is_alphanumeric(earlier) | (runs.starts[signed] < 2)]
    dialled = np.flatnonzero(free & (runs.digits >= 3) & (runs.digits <= 5))
    window = buffer.bytes[runs.starts[dialled][:, None] + np.arange(3)]
    dialled = dialled[(window[:, 0] == ord("0")) & (window[:, 1] == ord("0")) & (window[:, 2] > ord("0"))]
    return np.sort(np.concatenate([signed, dialled]))


def _three_three_four(buffer: Buffer, runs: Runs, free: Flags) -> Offsets:
    """Groups of so many digits between two dashes or two points, which are hardly ever anything else."""
    first = np.flatnonzero((runs.digits[:-2] == 3) & (runs.digits[1:-1] == 3) & (runs.digits[2:] == 4) & free[:-2])
    if not len(first):
        return first
    padded = np.pad(buffer.bytes, 2)
    starts, ends = runs.starts[first], runs.ends[first + 2]
    link = padded[runs.ends[first] + 2]
    alone = (ends - starts == 12) & (padded[runs.ends[first + 1] + 2] == link)
    alone &= ((link == ord("-")) | (link == ord("."))) & (padded[starts + 1] != link) & ~is_letter(padded[starts + 1])
    alone &= (padded[ends + 2] != link) | ~is_alphanumeric(padded[ends + 3])
    found: Offsets = first[alone]
    return found


def _of_service(buffer: Buffer, starts: Offsets) -> Flags:
    """In China nothing else has three, three and four digits: others are sizes and sums, where no word tells them."""
    lead = buffer.bytes[starts[:, None] + np.arange(3)] - np.uint8(48)
    return np.isin(lead @ np.array([100, 10, 1]), SERVICES)


def _code_length(number: bytes) -> int:
    if number[:1] in (b"1", b"7"):
        return 1
    return 2 if number[:2] in _TWO_DIGIT_CODES else 3


_MOBILE = re.compile(rb"1[0-9]{2}(?:[0-9]{4})?(?![0-9])")
_HAN_MOBILE = re.compile(_MOBILE.pattern + rb"|1[0-9]{10}(?![0-9])")
"""As China's are written, where a 1 is no country code: in their groups or, after a word in 汉字, without any."""


def _add(
    content: bytes, start: int, end: int, least: int, code: int | None, places: dict[str, list[tuple[int, int]]]
) -> None:
    digits = content[start:end].translate(None, _SIGNS)
    if least <= len(digits) <= _MOST_DIGITS:
        kind, own = _plan(digits, code)
        first = next(islice(_DIGIT.finditer(content, start, end), own, None)).start() if own else start
        if own and (trunk := _TRUNK.match(content, first)) and content.endswith(_OPENING, start, first):
            first = trunk.end()
        places.setdefault(kind, []).append((first, end))


_OPENING = b"(", "（".encode()
_TRUNK = re.compile("0(?:[)]|）)[ -]?(?=[0-9])".encode())
"""In brackets after a country code: dialled at home alone, so no part of the number."""


def _plan(digits: bytes, code: int | None) -> tuple[str, int]:
    """After the country code of a plan that has a type of its own that type, and where its digits begin.

    `code`: digits of the country code, None where nothing says whether there is one.
    """
    if code in (None, 2) and (found := _CHINESE.fullmatch(digits)):
        return "CN_LANDLINE", found.start(1)
    if code in (None, 1) and (found := _NORTH_AMERICAN.fullmatch(digits)):
        return "US_PHONE", found.start(1)
    return "PHONE", code or 0


_CHINESE = re.compile(rb"860?((?:10|2[0-9]|(?!400|800)[3-9][0-9]{2})[2-8][0-9]{6,7})")
_NORTH_AMERICAN = re.compile(rb"1([2-9][0-9]{2}[2-9][0-9]{6})")
PHONES = frozenset({"PHONE", "CN_LANDLINE", "US_PHONE"})
"""Types that are found here."""
