"""Tables within texts, of Markdown and of SQL's INSERT: what the header of a column says of the cells under it."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import Areas, Bytes, Offsets
from services.runtime.deid.reaches import among_bytes, reach
from services.runtime.deid.recognisers.announced import is_wechat
from services.runtime.deid.recognisers.beginnings import Beginnings
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN, Groups
from services.runtime.deid.recognisers.secret_values import BARE
from services.runtime.deid.recognisers.vocabulary import BITS
from services.runtime.deid.recognisers.words import Words

_SEPARATOR = re.compile(rb"\n[ \t>]{0,16}+(\|)?(?:[ \t]*+:?-++:?[ \t]*+\|)++(?:[ \t]*+:?-++:?)?[ \t\r]*+(?=\n)")
_INSERT = re.compile(rb"\(([^()\0]{1,4000}+)\)\s*+values\s*+(?=\()", re.IGNORECASE)
_VALUE = re.compile(rb"[\s(]*+('(?:[^'\\\0]|''|\\.)*+'|\"(?:[^\"\\\0]|\\.)*+\"|[^,()'\";\0]*+)\s*+(,|\)\s*+,?)")
_NAME = re.compile(rb"[^,]++")
_PIPE, _NEWLINE = ord("|"), ord("\n")
_AROUND = among_bytes(" \t\r*_`'\"[]{}")
_MOST_AROUND, _SHORTEST, _SHORTEST_SECRET, _LONGEST = 64, 4, 6, 256
_DIGITS = re.compile(rb"[0-9]{4,32}")
_SCORE = 0.65


class Cells(NamedTuple):
    """Ascending: where each begins and ends in a buffer, and the classes of the words in the header of its column."""

    starts: Offsets
    ends: Offsets
    bits: Offsets

    @classmethod
    def none(cls) -> Cells:
        return cls(*np.zeros((3, 0), dtype=np.int64))

    def around(self, starts: Offsets, ends: Offsets) -> Offsets:
        """The classes for what stands in one of them."""
        if not len(self.starts):
            return np.zeros(len(starts), dtype=np.int64)
        last = np.searchsorted(self.starts, starts, side="right") - 1
        return np.where((last >= 0) & (ends <= self.ends[last]), self.bits[last], 0)


def cells(groups: Groups, areas: Areas, begun: Beginnings, words: Words) -> Cells:
    """Those of columns whose headers have words; offsets are without the margin of `groups`, as those of `areas`."""
    tables = []
    if len(areas.starts) and "rows" in begun.shapes:
        tables.append(_markdown(groups, areas, words))
    if len(areas.starts) and "inserts" in begun.shapes:
        tables.append(_inserts(groups, areas, words))
    if not any(len(starts) for starts, *_ in tables):
        return Cells.none()
    starts, ends, bits = (np.concatenate(column) for column in zip(*tables, strict=True))
    starts, ends = _stripped(groups.content, starts, ends)
    told = np.flatnonzero((bits > 0) & (ends > starts))
    told = told[np.argsort(starts[told], kind="stable")]
    return Cells(starts[told] - MARGIN, ends[told] - MARGIN, bits[told])


def find(searched: bytes, cells: Cells, out: Candidates) -> None:
    """Whole cells that are a WeChat id or a secret; numbers are weighed by their form as well."""
    lengths = cells.ends - cells.starts
    for kind, name in (("WECHAT", "wechat"), ("API_KEY", "secret")):
        if kind not in out.wanted:
            continue
        chosen = np.flatnonzero((lengths >= _SHORTEST) & (lengths <= _LONGEST) & ((cells.bits & BITS[name]) > 0))
        starts, ends = (cells.starts[chosen] + MARGIN).tolist(), (cells.ends[chosen] + MARGIN).tolist()
        columns = zip(starts, ends, cells.bits[chosen].tolist(), strict=True)
        out.add_all(
            kind,
            [(start, end) for start, end, bits in columns if _is(kind, searched[start:end], bits)],
            _SCORE,
            told=True,
        )


def _is(kind: str, text: bytes, bits: int) -> bool:
    if kind == "WECHAT":
        return is_wechat(text)
    if bits & BITS["password"] and _DIGITS.fullmatch(text):
        return True
    return len(text) >= _SHORTEST_SECRET and b" " not in text and BARE.match(text) is not None


def _of_headers(words: Words, content: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
    starts, ends = (offsets - MARGIN for offsets in _stripped(content, starts, ends))
    return words.of_names(Areas(starts, ends, starts, ends))


def _bounds(areas: Areas, at: Offsets) -> tuple[Offsets, Offsets]:
    """Where the areas begin and end that have these places."""
    number = np.maximum(np.searchsorted(areas.starts, at - MARGIN, side="right") - 1, 0)
    return areas.starts[number] + MARGIN, areas.ends[number] + MARGIN


def _markdown(groups: Groups, areas: Areas, words: Words) -> tuple[Offsets, Offsets, Offsets]:
    """Of each table a header and, below its separator, rows up to the first one without cells or the next header."""
    content, separators = groups.content, list(_SEPARATOR.finditer(groups.searched))
    spans = [(found.start(), found.end(), found[1] is not None) for found in separators]
    first, last, leading = np.array(spans, dtype=np.int64).reshape(-1, 3).T
    begins, ends = _bounds(areas, first)
    inside = (begins < first) & (last < ends)
    first, last, leading, begins, ends = (column[inside] for column in (first, last, leading, begins, ends))
    lines = np.flatnonzero(content == _NEWLINE)
    above = np.maximum(np.append(-1, lines)[np.searchsorted(lines, first)] + 1, begins)
    below = np.minimum(last + 1, ends)
    ends[:-1] = np.maximum(np.minimum(ends[:-1], above[1:] - 1), below[:-1])
    if not len(first):
        return first, first, first
    regions = np.stack([above, below], axis=1).ravel(), np.stack([first, ends], axis=1).ravel()
    starts, stops, region, column = _rows(content, lines, *regions)
    column = column - np.repeat(leading, 2)[region]
    header, table = region % 2 == 0, region // 2
    key = table * (int(column.max(initial=0)) + 2) + column + 1
    bits = _of_headers(words, content, starts[header], stops[header])
    keys = np.append(key[header], -1)
    place = np.searchsorted(keys[:-1], key[~header])
    told = np.where((keys[place] == key[~header]) & (column[~header] >= 0), np.append(bits, 0)[place], 0)
    return starts[~header], stops[~header], told


def _rows(content: Bytes, lines: Offsets, begins: Offsets, ends: Offsets) -> tuple[Offsets, Offsets, Offsets, Offsets]:
    """The cells of these regions: where each begins and ends, of which region it is, and in which column."""
    edges = np.zeros(len(content), dtype=np.bool_)
    for places in (lines, begins - 1, ends):
        edges[places] = True
    marks = np.flatnonzero(edges | (content == _PIPE))
    row_ends = edges[marks]
    starts, stops = marks[:-1] + 1, marks[1:]
    numbers = np.arange(len(starts))
    column = numbers - np.maximum.accumulate(np.where(row_ends[:-1], numbers, 0))
    bare = np.cumsum(np.append(0, row_ends[:-1] & row_ends[1:]))  # of rows without cells, those before each
    region = np.searchsorted(begins, starts, side="right") - 1
    inside = (region >= 0) & (stops <= ends[region])
    inside &= bare[1:] == bare[np.searchsorted(starts, begins)][region]
    return starts[inside], stops[inside], region[inside], column[inside]


def _inserts(groups: Groups, areas: Areas, words: Words) -> tuple[Offsets, Offsets, Offsets]:
    text, content = groups.searched, groups.content
    inserts = list(_INSERT.finditer(text))
    names = [(name.start(), name.end()) for found in inserts for name in _NAME.finditer(text, *found.span(1))]
    starts, ends = np.array(names, dtype=np.int64).reshape(-1, 2).T
    bits = _of_headers(words, content, starts, ends)
    edges = np.searchsorted(starts, [found.end(1) for found in inserts])
    _, limits = _bounds(areas, np.array([found.start() for found in inserts], dtype=np.int64))
    over, places = 0, list[tuple[int, int, int]]()
    for found, told, limit in zip(inserts, np.split(bits, edges), limits.tolist(), strict=False):
        if found.start() >= over and told.any():
            over = _values(text, found.end(), limit, told.tolist(), places)
    given = np.array(places, dtype=np.int64).reshape(-1, 3).T
    return given[0], given[1], given[2]


def _values(text: bytes, at: int, limit: int, told: list[int], places: list[tuple[int, int, int]]) -> int:
    column = 0
    while value := _VALUE.match(text, at, limit):
        if column < len(told) and told[column]:
            places.append((*value.span(1), told[column]))
        at, column = value.end(), column + 1 if value[2] == b"," else 0
    return at


def _stripped(content: Bytes, starts: Offsets, ends: Offsets) -> tuple[Offsets, Offsets]:
    starts = np.minimum(starts + reach(content, starts, _AROUND, _MOST_AROUND), ends)
    return starts, np.maximum(ends - reach(content, ends, _AROUND, _MOST_AROUND, back=True), starts)
