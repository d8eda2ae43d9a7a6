"""Numbers of cards, people and devices, addresses of the network, and what only its context tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid import checksums
from services.runtime.deid.buffers import Flags, Offsets
from services.runtime.deid.calendar import is_birthday
from services.runtime.deid.pseudonyms.plans import NOBODYS_NETWORKS, SSN_PARTS, ssn_part_unissued
from services.runtime.deid.reaches import among_bytes, is_alphanumeric, is_letter, windows
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.forms import Forms
from services.runtime.deid.recognisers.groups import Groups, number, penalty


def find(groups: Groups, out: Candidates) -> None:
    for look in (_cards, _imeis_apart, _ids, _ssn, _ipv4, _short):
        look(groups, out)


_MOST_DIGITS = 19
_CARD_SHAPES = (
    (4, 4, 4, 4), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3), (6, 13), (4, 6, 5), (4, 6, 4), (8, 8), (4, 12),
    (4, 15), (5, 5, 5, 4),
)  # fmt: skip


def _cards(groups: Groups, out: Candidates) -> None:
    shapes = [(n,) for n in range(13, 20)]
    for widths in (*shapes, *_CARD_SHAPES):
        total, single = sum(widths), len(widths) == 1
        fours = widths[:4] == (4, 4, 4, 4)
        first = groups.of_width(total) if single else groups.shaped(widths, "- ." if fours else "- ")
        if fours:
            first = first[_whole(groups, first, widths)]
        if not len(first):
            continue
        last = first + len(widths) - 1
        rows = groups.rows(first, widths)
        valid = checksums.luhn(rows[:, :-1]) == rows[:, -1]
        lead = number(rows, 0, 2)
        issued = groups.forms.bank_issuers[lead]
        pointed = groups.link[first] == ord(".")
        form: Any = 0.2 if single else 0.45 - 0.25 * pointed
        valid &= single | ~pointed  # whose checksum may hold by chance, as that of four sizes
        if total == 18:  # one with a province and a birthday is hardly a card
            person = born_in_a_province(groups.forms, rows)
            valid &= ~person
            form = np.where(person, form - 0.3, form)
        beside = penalty(groups, first, last, 0.25) + _in_a_list(groups, first, widths)
        starts, ends = groups.starts[first], groups.ends[last]
        if total >= 16 or not single:
            own = issued if total >= 16 else groups.forms.short_issuers[lead]
            score = form + 0.35 * valid + 0.05 * groups.forms.union_pay[lead] - beside
            out.add("BANK_CARD", starts[own], ends[own], score[own], valid[own])
        known = groups.forms.credit_issuers[lead]
        score = form + 0.4 * valid - beside
        out.add("CREDIT_CARD", starts[known], ends[known], score[known], valid[known])
        if single and total == 15:
            chosen = groups.forms.devices[number(rows, 0, 2)]
            out.add("IMEI", starts[chosen], ends[chosen], (0.2 + 0.2 * valid - beside)[chosen], valid[chosen])


def _whole(groups: Groups, first: Offsets, widths: tuple[int, ...]) -> Flags:
    """Cards of UnionPay go on for up to 19 digits, others after 16 only where nothing else is joined to them.

    No checksum decides it: one that holds by chance does not in the pseudonym.
    """
    last = first + len(widths) - 1
    goes_on = (groups.link[last] == groups.link[first]) & (groups.width[last + 1] <= _MOST_DIGITS - sum(widths))
    other = groups.alone(first, len(widths)) if len(widths) > 4 else np.ones(len(first), dtype=np.bool_)
    union_pay = groups.forms.union_pay[number(groups.rows(first, widths[:1]), 0, 2)]
    return np.where(union_pay, ~goes_on, other)


def _in_a_list(groups: Groups, first: Offsets, widths: tuple[int, ...]) -> Any:
    """What other numbers that it is joined to take from the score of a card in groups.

    Beside four groups of four they are much like a year or a code, but for more of four.
    """
    if len(widths) == 1:
        return 0
    if widths[:2] == (4, 4):
        return 0.5 * groups.beside_width(first, len(widths), 4)
    return 0.35 * ~groups.alone(first, len(widths))


def _imeis_apart(groups: Groups, out: Candidates) -> None:
    for widths in ((2, 6, 6, 1), (6, 2, 6, 1), (8, 6, 1)):
        first = groups.shaped(widths, "- /")
        if not len(first):
            continue
        rows = groups.rows(first, widths)
        issued = groups.forms.devices[number(rows, 0, 2)]
        first, rows = first[issued], rows[issued]
        valid = checksums.luhn(rows[:, :-1]) == rows[:, -1]
        score = 0.3 + 0.3 * valid - 0.3 * ~groups.alone(first, len(widths))
        out.add("IMEI", groups.starts[first], groups.ends[first + len(widths) - 1], score, valid)


def born_in_a_province(forms: Forms, rows: NDArray[np.uint8]) -> Flags:
    """Which rows of 17 digits or more begin like a resident ID."""
    known = forms.provinces[number(rows, 0, 2)]
    return known & is_birthday(number(rows, 6, 10), number(rows, 10, 14))


_ID_SHAPES: tuple[tuple[int, ...], ...] = (
    (18,), (17,), (6, 8, 4), (6, 8, 3), (6, 4, 4, 4), (6, 4, 4, 3), (4, 4, 4, 4, 2), (4, 4, 4, 4, 1), (15,), (6, 6, 3),
)  # fmt: skip


def _may_be_ids(groups: Groups) -> Iterator[tuple[tuple[int, ...], Offsets]]:
    """Groups by their widths: of the usual ones, and of any others with blanks between them."""
    for widths in _ID_SHAPES:
        yield widths, groups.of_width(sum(widths)) if len(widths) == 1 else groups.shaped(widths, "- ")
    for total in (18, 17):
        yield from (some for some in groups.of_digits(total, " ") if some[0] not in _ID_SHAPES)


def _ids(groups: Groups, out: Candidates) -> None:
    if "CN_ID" not in out.wanted:
        return
    for widths, likely in _may_be_ids(groups):
        first, total, single = likely, sum(widths), len(widths) == 1
        if not len(first):
            continue
        last = first + len(widths) - 1
        ends = groups.ends[last]
        rows = groups.rows(first, widths)
        kept = groups.forms.provinces[number(rows, 0, 2)]
        short = total == 15
        year, edge = (1900 + number(rows, 6, 8), 8) if short else (number(rows, 6, 10), 10)
        kept &= is_birthday(year, number(rows, edge, edge + 4))
        with_x = total == 17
        if with_x:
            kept &= (groups.content[ends] | 0x20) == ord("x")
            kept &= ~is_alphanumeric(groups.content[ends + 1])
        first, last, ends, rows = first[kept], last[kept], ends[kept] + with_x, rows[kept]
        beside = groups.letter_before[first] | (False if with_x else groups.letter_after[last])
        if short:
            out.add("CN_ID", groups.starts[first], ends, (0.4 if single else 0.3) - 0.3 * beside)
            continue
        check = np.full(len(rows), 10) if with_x else rows[:, 17].astype(np.int64)
        valid = checksums.resident_id(rows[:, :17]) == check
        score = (
            0.75 * (valid | (widths in _ID_SHAPES))
            + 0.25 * valid
            - 0.2 * beside
            - 0.3 * (groups.after_point[first] | groups.before_point[last])
        )
        out.add("CN_ID", groups.starts[first], ends, score, valid)


_UNISSUED = 0.4


def _ssn(groups: Groups, out: Candidates) -> None:
    if "US_SSN" not in out.wanted:
        return
    for widths, links, form in (((3, 2, 4), "-", 0.65), ((3, 2, 4), " ", 0.4), ((3, 2, 4), ".", 0.2), ((9,), "", 0.1)):
        first = groups.shaped(widths, links) if links else groups.of_width(9)
        issued = ssn_part_unissued(groups.rows(first, widths)) == len(SSN_PARTS)
        last = first + len(widths) - 1
        joined = ~groups.alone(first, 3) if links else np.zeros(len(first), dtype=np.bool_)
        likely = np.where(issued, form, min(form, _UNISSUED))
        score = likely - penalty(groups, first, last, 0.3) - 0.3 * joined
        out.add("US_SSN", groups.starts[first], groups.ends[last], score)


def _ipv4(groups: Groups, out: Candidates) -> None:
    first = groups.linked(".")
    kept = groups.linked_before(first) != ord(".")
    for index in range(4):
        width = groups.width[first + index]
        kept &= (width > 0) & (width <= 3) & ((groups.link[first + index] == ord(".")) == (index < 3))
    first = first[kept]
    if not len(first):
        return
    good = np.ones(len(first), dtype=np.bool_)
    padded, widest = np.zeros(len(first), dtype=np.bool_), np.zeros(len(first), dtype=np.int64)
    for index in range(4):
        start, width = groups.starts[first + index], groups.width[first + index]
        digits = [groups.content[start + place].astype(np.int64) - 48 for place in range(3)]
        value = np.where(width == 1, digits[0], np.where(width == 2, 10 * digits[0] + digits[1], 0))
        value = np.where(width == 3, 100 * digits[0] + 10 * digits[1] + digits[2], value)
        good &= value < 256
        padded |= (digits[0] == 0) & (width > 1)
        widest = np.maximum(widest, width)
        if not index:
            good &= ~np.isin(value, NOBODYS_NETWORKS)
    first = first[good & (~padded | (widest == 3))]  # versions and dates have zeros before, too, but fewer digits
    before = groups.before[first]
    dashed = (before == ord("-")) & is_letter(groups.content[groups.starts[first] - 2])
    beside = groups.letter_before[first] | groups.letter_after[first + 3] | dashed
    beside &= ~_labelled(groups, groups.starts[first] - dashed) & ~_of_host_option(groups, groups.starts[first])
    small = (groups.ends[first + 3] - groups.starts[first]) <= 7
    out.add("IPV4", groups.starts[first], groups.ends[first + 3], 0.75 - 0.4 * beside - 0.3 * small)


def _of_host_option(groups: Groups, at: Offsets) -> Flags:
    """`-h` right before, as of mysql."""
    before = windows(groups.content, at - 3, 3)
    option: Flags = (before[:, 1] == ord("-")) & ((before[:, 2] | 0x20) == ord("h")) & among_bytes(" \t")[before[:, 0]]
    return option


def _labelled(groups: Groups, at: Offsets) -> Flags:
    """`IP` right before, and no other letter before that."""
    named: Flags = ((groups.content[at - 1] | 0x20) == ord("p")) & ((groups.content[at - 2] | 0x20) == ord("i"))
    return named & ~is_letter(groups.content[at - 3])


_CONTEXT_ONLY = 0.15


def _short(groups: Groups, out: Candidates) -> None:
    """What only its context tells from any other number."""
    if out.hopes("QQ", _CONTEXT_ONLY):
        first = np.flatnonzero((groups.n >= 5) & (groups.n <= 11))
        first = first[groups.digit(first, 0) > 0]
        score = _CONTEXT_ONLY - penalty(groups, first, first, 0.1)
        out.add("QQ", groups.starts[first], groups.ends[first], score)
    if out.hopes("TW_PERMIT", _CONTEXT_ONLY):
        eight = groups.of_width(8)
        score = _CONTEXT_ONLY - penalty(groups, eight, eight, 0.1)
        out.add("TW_PERMIT", groups.starts[eight], groups.ends[eight], score)
