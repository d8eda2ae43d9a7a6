"""Dates: year, month and day in the orders and with the separators that are in use, and in Chinese."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.runtime.deid.buffers import Flags, Offsets
from services.runtime.deid.pseudonyms.plans import days
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import Groups, among, number, penalty


def find(groups: Groups, out: Candidates) -> None:
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
    out.add("DATE", groups.starts[first], groups.ends[first], 0.2 - penalty(groups, first, first, 0.3))
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
