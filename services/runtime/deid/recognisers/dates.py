"""Dates: year, month and day in the orders and with the separators that are in use, and in Chinese."""

from __future__ import annotations

import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.calendar import is_day, year_of
from services.runtime.deid.reaches import LETTERS, among_bytes, is_letter, reach
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import Groups, number, penalty
from services.runtime.deid.recognisers.vocabulary import BITS
from services.runtime.deid.recognisers.words import Words

_YEAR_FIRST = ((4, 2, 2), (4, 1, 1), (4, 1, 2), (4, 2, 1))
_TIMES = (6, 9)
"""Digits of a time of day right after a day, whatever they are: where they are many they change themselves."""
_YEAR_LAST = ((2, 2, 4), (1, 1, 4), (1, 2, 4), (2, 1, 4))


def find(groups: Groups, words: Words, out: Candidates) -> None:
    if "DATE" not in out.wanted:
        return
    for widths in _YEAR_FIRST:
        first = groups.shaped(widths, "-/.")
        if len(first):
            first = first[_year_first(groups.rows(first, widths), widths)]
            dashed = groups.link[first] == ord("-")
            first = first[groups.alone(first, 3) | (dashed & (groups.share(first, 3) >= 0.5))]
            score = 0.6 - 0.35 * after_a_name(groups, first)
            out.add("DATE", groups.starts[first], groups.ends[first + 2], score)
    for widths in _YEAR_LAST:
        first = groups.shaped(widths, "/-.")
        if len(first):
            first = first[_year_last(groups.rows(first, widths), widths) & groups.alone(first, 3)]
            dashed = groups.link[first] == ord("-")
            pointed = (groups.link[first] == ord(".")) & (widths == (2, 2, 4))
            score = np.select([groups.link[first] == ord("/"), dashed | pointed], [0.6, 0.55], _BORN)
            score -= 0.35 * (dashed & after_a_name(groups, first))
            out.add("DATE", groups.starts[first], groups.ends[first + 2], score)
    first = groups.of_width(8)
    rows = groups.rows(first, (8,))
    first = first[is_day(number(rows, 0, 4), number(rows, 4, 8))]
    timed = among_bytes("T_")[groups.link[first]] & np.isin(groups.width[first + 1], _TIMES)
    score = np.where(timed, 0.6, 0.2 - penalty(groups, first, first, 0.3))
    out.add("DATE", groups.starts[first], groups.ends[first], score)
    if words.every_bit() & BITS["birth"]:
        _short(groups, out)
    _chinese(groups, out)


def _short(groups: Groups, out: Candidates) -> None:
    """With years of two digits, in the orders in which they are read, and six digits: after a word for births alone."""
    for widths in ((2, 2, 2), (2, 1, 2), (2, 2, 1), (2, 1, 1), (1, 2, 2), (1, 1, 2)):
        first = groups.shaped(widths, "-/.")
        first = first[groups.alone(first, 3)]
        one, two, three = (number(groups.rows(first + at, (width,)), 0, width) for at, width in enumerate(widths))
        good = np.zeros(len(first), dtype=np.bool_)
        if widths[0] == 2:
            good |= is_day(year_of(one), two * 100 + three)
        if widths[2] == 2:
            good |= is_day(year_of(three), one * 100 + two) | is_day(year_of(three), two * 100 + one)
        first = first[good]
        out.add("DATE", groups.starts[first], groups.ends[first + 2], _BORN)
    first = groups.of_width(6)
    rows = groups.rows(first, (6,))
    first = first[is_day(year_of(number(rows, 0, 2)), number(rows, 2, 6))]
    out.add("DATE", groups.starts[first], groups.ends[first], _BORN - penalty(groups, first, first, 0.3))


_BORN = 0.2
"""Of what may as well be a version, and is a date after the word for it."""
_NAME, _LONGEST_NAME = among_bytes("0123456789._-" + LETTERS), 40


def after_a_name(groups: Groups, runs: Offsets) -> Flags:
    """Joined by a dash to a word that begins with a letter, like the date of a model: `gpt-4o-2024-08-06`."""
    found: Flags = groups.before[runs] == ord("-")
    worth = np.flatnonzero(found)
    if len(worth):
        starts = groups.starts[runs[worth]]
        found[worth] = is_letter(
            groups.content[starts - reach(groups.content, starts, _NAME, _LONGEST_NAME, back=True)]
        )
    return found


def _year_first(rows: Bytes, widths: tuple[int, int, int]) -> Flags:
    edge = 4 + widths[1]
    return is_day(number(rows, 0, 4), number(rows, 4, edge) * 100 + number(rows, edge, edge + widths[2]))


def _year_last(rows: Bytes, widths: tuple[int, int, int]) -> Flags:
    """The smaller one is the month."""
    edge = widths[0] + widths[1]
    one, two = number(rows, 0, widths[0]), number(rows, widths[0], edge)
    return is_day(number(rows, edge, edge + 4), np.minimum(one, two) * 100 + np.maximum(one, two))


_YEAR, _MONTH, _DAYS = ("年".encode(), "月".encode(), tuple(day.encode() for day in "日号號"))


def _chinese(groups: Groups, out: Candidates) -> None:
    first = groups.of_width(4)
    first = first[first < len(groups.n) - 2]
    first = first[_follows(groups, first, _YEAR) & _follows(groups, first + 1, _MONTH)]
    last = first + 2
    first = first[np.logical_or.reduce([_written_after(groups, last, day) for day in _DAYS])]
    for widths in _YEAR_FIRST:
        some = first[(groups.width[first + 1] == widths[1]) & (groups.width[first + 2] == widths[2])]
        if len(some):
            some = some[_year_first(groups.rows(some, widths), widths)]
            ends = groups.ends[some + 2] + 3 + _blank(groups, groups.ends[some + 2])
            out.add("DATE", groups.starts[some], ends, 0.7)


def _follows(groups: Groups, run: Offsets, character: bytes) -> Flags:
    end = groups.ends[run] + len(character)
    end = end + _blank(groups, groups.ends[run])
    adjacent: Flags = groups.starts[run + 1] == end + _blank(groups, end)
    return _written_after(groups, run, character) & adjacent


def _blank(groups: Groups, at: Offsets) -> Flags:
    blank: Flags = groups.content[at] == ord(" ")
    return blank


def _written_after(groups: Groups, run: Offsets, character: bytes) -> Flags:
    """Right after the run, or after one blank."""
    at = groups.ends[run] + _blank(groups, groups.ends[run])
    found = np.ones(len(run), dtype=np.bool_)
    for index, byte in enumerate(character):
        found &= groups.content[at + index] == byte
    return found
