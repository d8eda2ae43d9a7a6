"""Numbers of telephones: mobile ones and landlines of mainland China, and those of North America."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.reaches import among_bytes, is_alphanumeric, windows
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import Groups, number, penalty
from services.runtime.deid.spellings import both
from services.runtime.deid.trunks import after_country_code


def find(groups: Groups, out: Candidates) -> None:
    for look in (_mobile, _landline, _us_phone):
        look(groups, out)


def _mobile(groups: Groups, out: Candidates) -> None:
    if "CN_PHONE" not in out.wanted:
        return
    for prefix in ("", "0", "86", "0086"):
        first = groups.of_width(len(prefix) + 11)
        if not len(first):
            continue
        rows = groups.rows(first, (len(prefix) + 11,))
        chosen = groups.forms.mobile[number(rows, len(prefix), len(prefix) + 2)]
        if prefix:
            chosen &= number(rows, 0, len(prefix)) == int(prefix)
        else:
            chosen &= ~_signed(groups, first)
        first = first[chosen]
        score = 0.7 - penalty(groups, first, first, 0.3) - 0.4 * _amounts(groups, first)
        score += 0.3 * _labelled(groups, first)
        out.add("CN_PHONE", groups.starts[first] + len(prefix), groups.ends[first], score)
    for widths in ((3, 4, 4), (3, 8), (7, 4), (3, 3, 5), (3, 5, 3)):
        form = 0.7 if widths == (3, 4, 4) else 0.55
        for code in _COUNTRY_CODES:
            _add_mobile(groups, out, groups.shaped(_after(code, widths), "- ._"), widths, form, code)
    _add_mobile(groups, out, groups.shaped((3, 8), ")"), (3, 8), 0.55)
    _add_mobile(groups, out, groups.variously_linked((3, 4, 4), (")", "- .")), (3, 4, 4), 0.55)


_COUNTRY_CODES = "", "86", "0086"


def _after(code: str, widths: tuple[int, ...]) -> tuple[int, ...]:
    """The widths where a country code is written together with the first group."""
    return (len(code) + widths[0], *widths[1:])


def _add_mobile(
    groups: Groups, out: Candidates, first: Offsets, widths: tuple[int, ...], form: float, code: str = ""
) -> None:
    if not len(first):
        return
    own, rows = len(code), groups.rows(first, _after(code, widths))
    first = first[groups.forms.mobile[number(rows, own, own + 2)] & (number(rows, 0, own) == int(code or 0))]
    last = first + len(widths) - 1
    abroad = (groups.before[first] == ord("+")) | (code == "0086") if code else _after_code(groups, first)
    joined = ~groups.alone(first, len(widths)) & ~abroad
    if widths == (3, 4, 4):  # which hardly anything else is
        joined &= groups.share(first, len(widths)) < 0.5
    score = form - penalty(groups, first, last, 0.3) - 0.25 * joined + 0.35 * (abroad & groups.after_point[first])
    out.add("CN_PHONE", groups.starts[first] + own, groups.ends[last], score)


def _signed(groups: Groups, first: Offsets) -> Flags:
    """After the `+` of a country code, of which these digits begin with one; after 汉字 it joins, as in `姓名+…`."""
    found: Flags = groups.before[first] == ord("+")
    worth = np.flatnonzero(found)
    before = windows(groups.content, groups.starts[first[worth]] - 4, 3)
    han = (before[:, 0] >= 0xE4) & (before[:, 0] <= 0xE9) & (before[:, 2] >= 0x80)
    found[worth] = ~han & ~is_alphanumeric(before[:, 2])
    return found


def _after_code(groups: Groups, first: Offsets) -> Flags:
    """Joined to `86` or `0086` before."""
    code = np.maximum(first - 1, 0)
    ends, width = groups.ends[code], groups.width[code]
    last = [groups.content[ends - back] for back in range(1, 5)]
    dialled = (width == 4) & (last[2] == ord("0")) & (last[3] == ord("0"))
    found: Flags = (groups.linked_before(first) > 0) & (last[0] == ord("6")) & (last[1] == ord("8"))
    found &= (width == 2) | dialled
    return found


def _labelled(groups: Groups, runs: Offsets) -> Flags:
    """`v`, `vx` or `wx` right before, as people tell their phone to be their WeChat."""
    found = groups.letter_before[runs] & ~groups.letter_after[runs]
    for index in np.flatnonzero(found).tolist():
        start = int(groups.starts[runs[index]])
        found[index] = _LABEL.search(groups.searched, start - 3, start) is not None
    return found


_LABEL = re.compile(rb"(?:\A|[^0-9A-Za-z_])(?:[vw]x|v)\Z", re.IGNORECASE)
_UNITS = re.compile(
    both(r" ?(?:万|亿)?(?:(?:元(?!旦|宵|宝)|美元|美金|人民币|RMB|USD)|(?<=万|亿)(?![\xe4-\xe9]))").encode()
)
"""Of money; 万 and 亿 before other 汉字 are names."""
_CURRENCIES = tuple(sign.encode() for sign in "$¥￥€£")
_CURRENCY_ENDS = np.isin(np.arange(256), [sign[-1] for sign in _CURRENCIES])


def _amounts(groups: Groups, runs: Offsets) -> Flags:
    """Before a unit of money, or right after a sign of a currency."""
    found: Flags = _CURRENCY_ENDS[groups.before[runs]]
    for index in np.flatnonzero(found).tolist():
        found[index] = groups.searched.endswith(_CURRENCIES, 0, int(groups.starts[runs[index]]))
    after = groups.after[runs]
    for index in np.flatnonzero(~found & ((after >= 0xE4) & (after <= 0xE9) | (after == ord(" ")))).tolist():
        found[index] = _UNITS.match(groups.searched, int(groups.ends[runs[index]])) is not None
    return found


def _landline(groups: Groups, out: Candidates) -> None:
    if "CN_LANDLINE" not in out.wanted:
        return
    for area in (3, 4):
        for subscriber in ((7,), (8,), (4, 4), (3, 4)):
            widths = (area, *subscriber)
            split = len(subscriber) == 2
            first = groups.variously_linked(widths, ("- )", "- ")) if split else groups.shaped(widths, "- )")
            if not len(first):
                continue
            rows = groups.rows(first, widths)
            first = first[_area(groups, rows, area) & _subscriber(rows[:, area])]
            if split:
                extended = (groups.width[first + 3] <= 5) & (groups.linked_before(first) == 0)
                first = first[groups.alone(first, 3) | extended | (groups.share(first, 3) == 1)]
            score = np.where((groups.link[first] == ord(" ")) | split, 0.6, 0.65)
            _add_landline(groups, out, first, len(subscriber), score)
    _abroad(groups, out)
    for n in (10, 11, 12):
        first = groups.of_width(n)
        first = first[groups.digit(first, 0) == groups.forms.trunk]
        if not len(first):
            continue
        rows = groups.rows(first, (n,))
        place = np.where(rows[:, 1] <= 2, 3, 4)
        good = np.where(place == 3, _area(groups, rows, 3), _area(groups, rows, 4))
        good &= _subscriber(rows[np.arange(len(rows)), place])
        first = first[good & (n - place >= 7) & (n - place <= 8)]
        _add_landline(groups, out, first, 0, 0.45 - penalty(groups, first, first, 0.3))


def _abroad(groups: Groups, out: Candidates) -> None:
    """After `86-` alone, which `after_country_code` has to know; `zero`: that they are dialled with at home as well."""
    for zero, area, subscriber in product((0, 1), (2, 3), (7, 8)):
        widths = (2, zero + area, subscriber)
        first = groups.shaped(widths, "-")
        if not len(first):
            continue
        rows = groups.rows(first, widths)
        trunk = np.full((len(rows), 1), groups.forms.trunk, dtype=np.uint8)
        good = _area(groups, np.concatenate([trunk, rows[:, 2 + zero :]], axis=1), area + 1)
        good &= (number(rows, 0, 2) == 86) & _subscriber(rows[:, 2 + zero + area]) & (rows[:, 2] * zero == 0)
        first = first[good & after_country_code(groups.content, groups.starts[first + 1])]
        out.add("CN_LANDLINE", groups.starts[first + 1] + zero, groups.ends[first + 2], 0.6)


def _add_landline(groups: Groups, out: Candidates, first: Offsets, more: int, score: Any) -> None:
    """After a country code without their 0, which stays there where there is one."""
    abroad = after_country_code(groups.content, groups.starts[first])
    kept = ~abroad | (groups.digit(first, 0) == 0)
    first, abroad, score = first[kept], abroad[kept], score[kept]
    out.add("CN_LANDLINE", groups.starts[first] + abroad, groups.ends[first + more], score)


def _area(groups: Groups, rows: NDArray[np.uint8], width: int) -> Flags:
    """010 and 02x, or 0 and three digits from 300 on."""
    known: Flags = rows[:, 0] == groups.forms.trunk
    if width == 3:
        known &= (rows[:, 1] == 2) | ((rows[:, 1] == 1) & (rows[:, 2] == 0))
    else:
        known &= (rows[:, 1] > 2) & ((rows[:, 1] % 4 > 0) | (number(rows, 2, 4) > 0))  # 400 and 800 are services
    return known


def _subscriber(first: NDArray[np.uint8]) -> Flags:
    return (first > 1) & (first < 9)


def _us_phone(groups: Groups, out: Candidates) -> None:
    if "US_PHONE" not in out.wanted:
        return
    for links in ("-", ".", " "):
        first = groups.shaped((3, 3, 4), links)
        _add_us_phones(groups, out, first, 0.6 if links != " " else 0.5)
    first = groups.shaped((3, 3), ")")
    mixed = (groups.width[first + 2] == 4) & among_bytes("- .")[groups.link[first + 1]]
    _add_us_phones(groups, out, first[mixed & (groups.before[first] == ord("("))], 0.65)
    _add_us_phones(groups, out, groups.variously_linked((3, 3, 4), ("/", "- .")), 0.3)
    first = groups.of_width(10)
    good = (groups.digit(first, 0) > 1) & (groups.digit(first, 3) > 1)
    first = first[good]
    out.add("US_PHONE", groups.starts[first], groups.ends[first], 0.3 - penalty(groups, first, first, 0.3))


def _add_us_phones(groups: Groups, out: Candidates, first: Offsets, score: float) -> None:
    good = (
        (groups.digit(first, 0) > 1) & (groups.content[groups.starts[first + 1]] > ord("1"))
        if len(first)
        else first > 0
    )
    first = first[good]
    out.add("US_PHONE", groups.starts[first], groups.ends[first + 2], score)


def after_bracket(content: Bytes, starts: Offsets) -> Flags:
    """Where an area code in brackets may begin, as numbers of other things have none."""
    opened = content.take(starts - 1, mode="clip") == ord("(")
    first = content.take(starts[:, None] + np.arange(_LONGEST_AREA_CODE + 1), mode="clip")
    found: Flags = opened & (starts > 0) & (first == ord(")")).any(axis=1)
    return found


_LONGEST_AREA_CODE = 5
