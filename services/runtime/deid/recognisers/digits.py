"""Runs of digits, found in one vectorised pass, and what they could be alone or in groups with separators."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid import checksums
from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.pseudonyms.plans import days
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.forms import Forms

MARGIN = 64
"""Bytes that a margined content has before its first and after its last."""


class Runs:
    """Maximal runs of ASCII digits: offsets of their starts and ends, and how many digits each has."""

    def __init__(self, starts: Offsets, ends: Offsets) -> None:
        self.starts, self.ends = starts, ends
        self.digits = ends - starts

    @classmethod
    def of(cls, content: Bytes) -> Runs:
        is_digit = np.zeros(len(content) + 2, dtype=np.bool_)
        np.less(content - np.uint8(ord("0")), 10, out=is_digit[1:-1])
        edges = np.flatnonzero(is_digit[1:] != is_digit[:-1])
        return cls(edges[::2], edges[1::2])


def with_margins(content: Bytes) -> Bytes:
    """A copy between zeros, so that looking around needs no care at its edges; offsets grow by MARGIN."""
    wide = np.zeros(len(content) + 2 * MARGIN, dtype=np.uint8)
    wide[MARGIN : MARGIN + len(content)] = content
    return wide


class Groups:
    """The runs of a margined content together with what stands between them."""

    def __init__(self, content: Bytes, runs: Runs, forms: Forms) -> None:
        self.content, self.forms = content, forms
        self.starts, self.ends, self.n = runs.starts + MARGIN, runs.ends + MARGIN, runs.digits
        count = len(self.starts)
        self.link = np.zeros(count + 8, dtype=np.uint8)
        if count > 1:
            gap = self.starts[1:] - self.ends[:-1]
            between = content[self.ends[:-1]]
            paren = (gap == 2) & (between == ord(")")) & (content[self.ends[:-1] + 1] == ord(" "))
            self.link[: count - 1] = np.where(gap == 1, between, np.where(paren, ord(")"), 0))
        self.width = np.zeros(count + 8, dtype=np.int64)
        self.width[:count] = self.n
        self._by_width: dict[int, Offsets] = {}
        self._places: dict[str, Offsets] = {}
        self.before = content[self.starts - 1]
        self.after = content[self.ends]
        self.letter_before = is_letter(self.before)
        self.letter_after = is_letter(self.after)
        # Digits right before a point, or right after one, are part of a decimal number or of an address.
        self.fraction = (self.before == ord(".")) & is_digit(content[self.starts - 2])
        self.fraction |= (self.after == ord(".")) & is_digit(content[self.ends + 1])

    def places(self, character: str) -> Offsets:
        """Where one character of ASCII stands."""
        if character not in self._places:
            self._places[character] = np.flatnonzero(self.content == ord(character))
        return self._places[character]

    def of_width(self, n: int) -> Offsets:
        """The runs of n digits."""
        if n not in self._by_width:
            self._by_width[n] = np.flatnonzero(self.n == n)
        return self._by_width[n]

    def linked_before(self, first: Offsets) -> Bytes:
        return np.where(first > 0, self.link[np.maximum(first - 1, 0)], 0).astype(np.uint8)

    def shaped(self, widths: Sequence[int], links: bytes) -> Offsets:
        """The first run of each group of runs of these widths, joined by one and the same of `links`."""
        first = self.of_width(widths[0])
        same = self.link[first]
        kept = _one_of(links)[same]
        for index, width in enumerate(widths[1:], start=1):
            kept &= (self.width[first + index] == width) & (self.link[first + index - 1] == same)
        return first[kept]

    def alone(self, first: Offsets, count: int) -> Flags:
        """The group is not joined to yet another run in the way in which its own are."""
        same = self.link[first]
        after = self.link[first + count - 1]
        alone: Flags = (self.linked_before(first) != same) & (after != same)
        return alone

    def rows(self, first: Offsets, widths: Sequence[int]) -> NDArray[np.uint8]:
        """The digits of groups of equal shape, N x n."""
        columns = [self.starts[first + i][:, None] + np.arange(width) for i, width in enumerate(widths)]
        rows: NDArray[np.uint8] = self.content[np.concatenate(columns, axis=1)] - np.uint8(48)
        return rows

    def digit(self, first: Offsets, place: int) -> Bytes:
        found: Bytes = self.content[self.starts[first] + place] - np.uint8(48)
        return found


@cache
def _one_of(links: bytes) -> Flags:
    table = np.zeros(256, dtype=np.bool_)
    table[np.frombuffer(links, dtype=np.uint8)] = True
    return table


def is_digit(characters: Bytes) -> Flags:
    digits: Flags = (characters - np.uint8(ord("0"))) < 10
    return digits


def is_letter(characters: Bytes) -> Flags:
    letters: Flags = ((characters | np.uint8(0x20)) - np.uint8(ord("a"))) < 26
    return letters


def number(rows: NDArray[np.uint8], first: int, last: int) -> Offsets:
    value = np.zeros(len(rows), dtype=np.int64)
    for column in range(first, last):
        value = value * 10 + rows[:, column]
    return value


def among(codes: Offsets, values: Offsets) -> Flags:
    """Which of the values the ascending codes have."""
    found: Flags = codes[np.minimum(np.searchsorted(codes, values), len(codes) - 1)] == values
    return found


def find(groups: Groups, out: Candidates) -> None:
    """Everything that is of digits only, apart from NUMBER."""
    for look in (_mobile, _landline, _cards, _ids, _us_phone, _ssn, _ipv4, _dates, _short):
        look(groups, out)


def _penalty(groups: Groups, first: Offsets, last: Offsets, letters: float) -> Any:
    """What letters right beside digits, and a decimal point, take from a score."""
    beside = groups.letter_before[first] | groups.letter_after[last]
    return letters * beside + 0.35 * (groups.fraction[first] | groups.fraction[last])


def _mobile(groups: Groups, out: Candidates) -> None:
    if "CN_PHONE" not in out.wanted:
        return
    for n, skipped in ((11, 0), (13, 2), (15, 4)):
        first = groups.of_width(n)
        rows = groups.rows(first, (n,))
        prefixed = {0: True, 2: number(rows, 0, 2) == 86, 4: number(rows, 0, 4) == 86}[skipped]
        chosen = among(groups.forms.mobile, number(rows, skipped, skipped + 2)) & prefixed
        first = first[chosen]
        out.add(
            "CN_PHONE", groups.starts[first] + skipped, groups.ends[first], 0.7 - _penalty(groups, first, first, 0.3)
        )
    for widths in ((3, 4, 4), (3, 8), (7, 4), (3, 3, 5), (3, 5, 3)):
        first = groups.shaped(widths, b"- .")
        rows = groups.rows(first, widths)
        first = first[among(groups.forms.mobile, number(rows, 0, 2))]
        last = first + len(widths) - 1
        after_86 = (first > 0) & (groups.width[np.maximum(first - 1, 0)] == 2)
        joined = ~groups.alone(first, len(widths)) & ~after_86
        score = (0.7 if widths == (3, 4, 4) else 0.55) - _penalty(groups, first, last, 0.3) - 0.25 * joined
        out.add("CN_PHONE", groups.starts[first], groups.ends[last], score)


def _landline(groups: Groups, out: Candidates) -> None:
    if "CN_LANDLINE" not in out.wanted:
        return
    for area in (3, 4):
        for subscriber in (7, 8):
            first = groups.shaped((area, subscriber), b"- )")
            rows = groups.rows(first, (area, subscriber))
            good = _area(groups, rows, area) & _subscriber(rows[:, area])
            first = first[good]
            score = np.where(groups.link[first] == ord(" "), 0.45, 0.65)
            out.add("CN_LANDLINE", groups.starts[first], groups.ends[first + 1], score)
        for parts in ((4, 4), (3, 4)):
            first = groups.shaped((area, *parts), b"- ")
            rows = groups.rows(first, (area, *parts))
            good = _area(groups, rows, area) & _subscriber(rows[:, area])
            first = first[good & groups.alone(first, 3)]
            out.add("CN_LANDLINE", groups.starts[first], groups.ends[first + 2], 0.6)
    for n in (10, 11, 12):
        first = groups.of_width(n)
        rows = groups.rows(first, (n,))
        place = np.where(rows[:, 1] <= 2, 3, 4)
        local = rows[np.arange(len(rows)), place]
        good = np.where(place == 3, _area(groups, rows, 3), _area(groups, rows, 4)) & _subscriber(local)
        first = first[good & (n - place >= 7) & (n - place <= 8)]
        score = 0.45 - _penalty(groups, first, first, 0.3)
        out.add("CN_LANDLINE", groups.starts[first], groups.ends[first], score)


def _area(groups: Groups, rows: NDArray[np.uint8], width: int) -> Flags:
    """010 and 02x, or 0 and three digits from 300 on."""
    known: Flags = rows[:, 0] == groups.forms.trunk
    if width == 3:
        known &= (rows[:, 1] == 2) | ((rows[:, 1] == 1) & (rows[:, 2] == 0))
    else:
        known &= rows[:, 1] > 2
    return known


def _subscriber(first: NDArray[np.uint8]) -> Flags:
    return (first > 1) & (first < 9)


_CARD_SHAPES = ((4, 4, 4, 4), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3), (6, 13), (4, 6, 5), (4, 6, 4), (8, 8))


def _cards(groups: Groups, out: Candidates) -> None:
    shapes = [(n,) for n in range(13, 20)]
    for widths in (*shapes, *_CARD_SHAPES):
        total, single = sum(widths), len(widths) == 1
        if single:
            first = groups.of_width(total)
        else:
            first = groups.shaped(widths, b"- ")
            first = first[groups.alone(first, len(widths))]
        if not len(first):
            continue
        last = first + len(widths) - 1
        rows = groups.rows(first, widths)
        valid = checksums.luhn(rows[:, :-1]) == rows[:, -1]
        lead = rows[:, 0].astype(np.int64)
        issued = among(groups.forms.bank_issuers, lead)
        form: Any = 0.2 if single else 0.45
        if total == 18:  # one with a province and a birthday is hardly a card
            person = born_in_a_province(groups.forms, rows)
            valid &= ~person
            form = np.where(person, form - 0.3, form)
        penalty = _penalty(groups, first, last, 0.25)
        starts, ends = groups.starts[first], groups.ends[last]
        union_pay = (rows[:, 0] == 6) & (rows[:, 1] == 2)
        if total >= 16:
            score = form + 0.35 * valid + 0.05 * union_pay - penalty
            out.add("BANK_CARD", starts[issued], ends[issued], score[issued], valid[issued])
        known = among(groups.forms.credit_issuers, lead)
        known &= (lead != 2) | ((number(rows, 0, 2) >= 22) & (number(rows, 0, 2) <= 27))
        score = form + 0.4 * valid - penalty
        out.add("CREDIT_CARD", starts[known], ends[known], score[known], valid[known])
        if single and total == 15:
            chosen = among(groups.forms.devices, number(rows, 0, 2))
            out.add("IMEI", starts[chosen], ends[chosen], (0.2 + 0.2 * valid - penalty)[chosen], valid[chosen])


def born_in_a_province(forms: Forms, rows: NDArray[np.uint8]) -> Flags:
    """Which rows of 17 digits or more begin like a resident ID."""
    known = among(forms.provinces, number(rows, 0, 2))
    return known & among(days(1900, 2099, "%Y%m%d"), number(rows, 6, 14))


def _ids(groups: Groups, out: Candidates) -> None:
    if "CN_ID" not in out.wanted:
        return
    for widths in ((18,), (17,), (6, 8, 4), (6, 8, 3), (6, 4, 4, 4), (6, 4, 4, 3), (15,)):
        total = sum(widths)
        single = len(widths) == 1
        first = groups.of_width(total) if single else groups.shaped(widths, b"- ")
        if not len(first):
            continue
        last = first + len(widths) - 1
        ends = groups.ends[last]
        rows = groups.rows(first, widths)
        kept = among(groups.forms.provinces, number(rows, 0, 2))
        short = total == 15
        born = days(1900, 1999, "%y%m%d") if short else days(1900, 2099, "%Y%m%d")
        kept &= among(born, number(rows, 6, 12 if short else 14))
        with_x = total == 17
        if with_x:
            kept &= (groups.content[ends] | 0x20) == ord("x")
            kept &= ~is_alphanumeric(groups.content[ends + 1])
        first, last, ends, rows = first[kept], last[kept], ends[kept] + with_x, rows[kept]
        beside = groups.letter_before[first] | (False if with_x else groups.letter_after[last])
        if short:
            out.add("CN_ID", groups.starts[first], ends, 0.4 - 0.3 * beside)
            continue
        check = np.full(len(rows), 10) if with_x else rows[:, 17].astype(np.int64)
        valid = checksums.resident_id(rows[:, :17]) == check
        score = 0.75 + 0.25 * valid - 0.2 * beside - 0.3 * groups.fraction[first]
        out.add("CN_ID", groups.starts[first], ends, score, valid)


def _us_phone(groups: Groups, out: Candidates) -> None:
    if "US_PHONE" not in out.wanted:
        return
    for links in (b"-", b".", b" "):
        first = groups.shaped((3, 3, 4), links)
        _add_us_phones(groups, out, first, 0.6 if links != b" " else 0.5)
    first = groups.of_width(3)
    mixed = (groups.link[first] == ord(")")) & (groups.width[first + 1] == 3)
    mixed &= (groups.width[first + 2] == 4) & _one_of(b"- .")[groups.link[first + 1]]
    _add_us_phones(groups, out, first[mixed & (groups.before[first] == ord("("))], 0.65)
    first = groups.of_width(10)
    good = (groups.digit(first, 0) > 1) & (groups.digit(first, 3) > 1)
    first = first[good]
    out.add("US_PHONE", groups.starts[first], groups.ends[first], 0.3 - _penalty(groups, first, first, 0.3))


def _add_us_phones(groups: Groups, out: Candidates, first: Offsets, score: float) -> None:
    good = (
        (groups.digit(first, 0) > 1) & (groups.content[groups.starts[first + 1]] > ord("1"))
        if len(first)
        else first > 0
    )
    first = first[good]
    out.add("US_PHONE", groups.starts[first], groups.ends[first + 2], score)


def _ssn(groups: Groups, out: Candidates) -> None:
    if "US_SSN" not in out.wanted:
        return
    for widths, links, form in (((3, 2, 4), b"-", 0.65), ((3, 2, 4), b" ", 0.4), ((9,), b"", 0.1)):
        first = groups.shaped(widths, links) if links else groups.of_width(9)
        rows = groups.rows(first, widths)
        area = number(rows, 0, 3)
        good = (area > 0) & (area < 900) & (area != 666) & (number(rows, 3, 5) > 0) & (number(rows, 5, 9) > 0)
        if links:
            good &= groups.alone(first, 3)
        first = first[good]
        last = first + len(widths) - 1
        score = form - _penalty(groups, first, last, 0.3)
        out.add("US_SSN", groups.starts[first], groups.ends[last], score)


def _ipv4(groups: Groups, out: Candidates) -> None:
    first = np.flatnonzero((groups.n <= 3) & (groups.link[: len(groups.n)] == ord(".")))
    kept = np.ones(len(first), dtype=np.bool_)
    for index in range(4):
        width = groups.width[first + index]
        kept &= (width > 0) & (width <= 3) & ((groups.link[first + index] == ord(".")) == (index < 3))
    first = first[kept & (groups.linked_before(first) != ord("."))]
    good = np.ones(len(first), dtype=np.bool_)
    for index in range(4):
        start, width = groups.starts[first + index], groups.width[first + index]
        digits = [groups.content[start + place].astype(np.int64) - 48 for place in range(3)]
        value = np.where(width == 1, digits[0], np.where(width == 2, 10 * digits[0] + digits[1], 0))
        value = np.where(width == 3, 100 * digits[0] + 10 * digits[1] + digits[2], value)
        good &= (value < 256) & ((digits[0] > 0) | (width == 1))
    first = first[good]
    beside = groups.letter_before[first] | groups.letter_after[first + 3]
    beside &= ~_labelled(groups, first)
    small = (groups.ends[first + 3] - groups.starts[first]) <= 7
    out.add("IPV4", groups.starts[first], groups.ends[first + 3], 0.75 - 0.4 * beside - 0.15 * small)


def _labelled(groups: Groups, first: Offsets) -> Flags:
    """`IP` right before, and no other letter before that."""
    at = groups.starts[first]
    named: Flags = ((groups.content[at - 1] | 0x20) == ord("p")) & ((groups.content[at - 2] | 0x20) == ord("i"))
    return named & ~is_letter(groups.content[at - 3])


def _dates(groups: Groups, out: Candidates) -> None:
    if "DATE" not in out.wanted:
        return
    for widths in ((4, 2, 2), (4, 1, 1), (4, 1, 2), (4, 2, 1)):
        first = groups.shaped(widths, b"-/.")
        rows = groups.rows(first, widths)
        edge = 4 + widths[1]
        _add_dates(groups, out, first, number(rows, 0, 4), number(rows, 4, edge), number(rows, edge, edge + widths[2]))
    for widths in ((2, 2, 4), (1, 1, 4), (1, 2, 4), (2, 1, 4)):
        first = groups.shaped(widths, b"/")
        rows = groups.rows(first, widths)
        edge = widths[0] + widths[1]
        one, two = number(rows, 0, widths[0]), number(rows, widths[0], edge)
        _add_dates(groups, out, first, number(rows, edge, edge + 4), np.minimum(one, two), np.maximum(one, two))
    first = groups.of_width(8)
    rows = groups.rows(first, (8,))
    first = first[among(days(1900, 2099, "%Y%m%d"), number(rows, 0, 8))]
    out.add("DATE", groups.starts[first], groups.ends[first], 0.2 - _penalty(groups, first, first, 0.3))
    _chinese_dates(groups, out)


def _add_dates(groups: Groups, out: Candidates, first: Offsets, year: Any, month: Any, day: Any) -> None:
    good = among(days(1900, 2099, "%Y%m%d"), year * 10_000 + month * 100 + day)
    first = first[good & groups.alone(first, 3)]
    out.add("DATE", groups.starts[first], groups.ends[first + 2], 0.6)


_YEAR, _MONTH, _DAYS = ("年".encode(), "月".encode(), ("日".encode(), "号".encode()))


def _chinese_dates(groups: Groups, out: Candidates) -> None:
    first = groups.of_width(4)
    first = first[first < len(groups.n) - 2]
    first = first[_follows(groups, first, _YEAR) & _follows(groups, first + 1, _MONTH)]
    last = first + 2
    ended = _written_after(groups, last, _DAYS[0]) | _written_after(groups, last, _DAYS[1])
    good = ended & (groups.n[first + 1] <= 2) & (groups.n[last] <= 2)
    first = first[good]
    out.add("DATE", groups.starts[first], groups.ends[first + 2] + 3, 0.7)


def _follows(groups: Groups, run: Offsets, character: bytes) -> Flags:
    adjacent: Flags = groups.starts[run + 1] == groups.ends[run] + len(character)
    return _written_after(groups, run, character) & adjacent


def _written_after(groups: Groups, run: Offsets, character: bytes) -> Flags:
    at = groups.ends[run]
    found = np.ones(len(run), dtype=np.bool_)
    for index, byte in enumerate(character):
        found &= groups.content[at + index] == byte
    return found


def _short(groups: Groups, out: Candidates) -> None:
    """What only its context tells from any other number."""
    first = np.flatnonzero((groups.n >= 5) & (groups.n <= 11))
    first = first[groups.digit(first, 0) > 0]
    out.add("QQ", groups.starts[first], groups.ends[first], 0.15 - _penalty(groups, first, first, 0.1))
    eight = groups.of_width(8)
    out.add("TW_PERMIT", groups.starts[eight], groups.ends[eight], 0.15 - _penalty(groups, eight, eight, 0.1))


def is_alphanumeric(characters: Bytes) -> Flags:
    return is_letter(characters) | is_digit(characters)
