"""Dates: year, month and day in the orders and with the separators that are in use, and in Chinese."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import Groups, number, penalty

_YEAR_FIRST = ((4, 2, 2), (4, 1, 1), (4, 1, 2), (4, 2, 1))
_YEAR_LAST = ((2, 2, 4), (1, 1, 4), (1, 2, 4), (2, 1, 4))


def find(groups: Groups, out: Candidates) -> None:
    if "DATE" not in out.wanted:
        return
    for widths in _YEAR_FIRST:
        first = groups.shaped(widths, "-/.")
        if len(first):
            first = first[_year_first(groups.rows(first, widths), widths) & groups.alone(first, 3)]
            out.add("DATE", groups.starts[first], groups.ends[first + 2], 0.6)
    for widths in _YEAR_LAST:
        first = groups.shaped(widths, "/")
        if len(first):
            first = first[_year_last(groups.rows(first, widths), widths) & groups.alone(first, 3)]
            out.add("DATE", groups.starts[first], groups.ends[first + 2], 0.6)
    first = groups.of_width(8)
    rows = groups.rows(first, (8,))
    first = first[is_day(number(rows, 0, 4), number(rows, 4, 8))]
    out.add("DATE", groups.starts[first], groups.ends[first], 0.2 - penalty(groups, first, first, 0.3))
    _chinese(groups, out)


def is_day(years: Offsets, month_days: Offsets) -> Flags:
    """Which are days of 1900 to 2099; `month_days`: 100 times the month and the day, below 10,000 as the years."""
    known: Flags = _MONTH_DAYS[_KIND_OF_YEAR[years], month_days]
    return known


def _kinds_of_year() -> Bytes:
    """Of each year up to 9999: 0 out of range, 1 common, 2 with a 29 February."""
    kinds = np.zeros(10_000, dtype=np.uint8)
    for year in range(1900, 2100):
        kinds[year] = 1 + ((date(year, 3, 1) - date(year, 2, 1)).days == 29)
    return kinds


def _month_days() -> Flags:
    """By the kind of the year the days that it has."""
    known = np.zeros((3, 10_000), dtype=np.bool_)
    for kind, year in ((1, 2001), (2, 2000)):
        for ordinal in range(364 + kind):
            day = date(year, 1, 1) + timedelta(ordinal)
            known[kind, 100 * day.month + day.day] = True
    return known


_KIND_OF_YEAR, _MONTH_DAYS = _kinds_of_year(), _month_days()


def _year_first(rows: Bytes, widths: tuple[int, int, int]) -> Flags:
    edge = 4 + widths[1]
    return is_day(number(rows, 0, 4), number(rows, 4, edge) * 100 + number(rows, edge, edge + widths[2]))


def _year_last(rows: Bytes, widths: tuple[int, int, int]) -> Flags:
    """The smaller one is the month."""
    edge = widths[0] + widths[1]
    one, two = number(rows, 0, widths[0]), number(rows, widths[0], edge)
    return is_day(number(rows, edge, edge + 4), np.minimum(one, two) * 100 + np.maximum(one, two))


_YEAR, _MONTH, _DAYS = ("年".encode(), "月".encode(), ("日".encode(), "号".encode()))


def _chinese(groups: Groups, out: Candidates) -> None:
    first = groups.of_width(4)
    first = first[first < len(groups.n) - 2]
    first = first[_follows(groups, first, _YEAR) & _follows(groups, first + 1, _MONTH)]
    last = first + 2
    first = first[_written_after(groups, last, _DAYS[0]) | _written_after(groups, last, _DAYS[1])]
    for widths in _YEAR_FIRST:
        some = first[(groups.width[first + 1] == widths[1]) & (groups.width[first + 2] == widths[2])]
        if len(some):
            some = some[_year_first(groups.rows(some, widths), widths)]
            out.add("DATE", groups.starts[some], groups.ends[some + 2] + 3, 0.7)


def _follows(groups: Groups, run: Offsets, character: bytes) -> Flags:
    adjacent: Flags = groups.starts[run + 1] == groups.ends[run] + len(character)
    return _written_after(groups, run, character) & adjacent


def _written_after(groups: Groups, run: Offsets, character: bytes) -> Flags:
    at = groups.ends[run]
    found = np.ones(len(run), dtype=np.bool_)
    for index, byte in enumerate(character):
        found &= groups.content[at + index] == byte
    return found
