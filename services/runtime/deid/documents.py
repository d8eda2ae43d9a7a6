"""One stretch of a text, or of JSON documents, de-identified as a whole."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from services.runtime.deid import exponents, json_strings, nested_numbers
from services.runtime.deid.buffers import APART, Areas, Buffer, Flags, Offsets
from services.runtime.deid.escapes import Escapes
from services.runtime.deid.escapes import of_text as escapes_of_text
from services.runtime.deid.exponents import Place, SpelledOut
from services.runtime.deid.json_strings import Strings
from services.runtime.deid.recognisers import Recogniser
from services.runtime.deid.replacing import Edits, Replacer, Said
from services.runtime.deid.spans import Spans


class Rewriting:
    """Content with values replaced in place, and `places` (ascending) to be replaced by text of another length.

    `spelled`: the content that this is of, where it is not the one that was given.
    """

    def __init__(
        self,
        whole: bytes,
        places: list[Place],
        edits: Sequence[Edits],
        fields: frozenset[str] = frozenset(),
        spelled: SpelledOut | None = None,
    ) -> None:
        self.whole, self.places, self.fields, self.edits, self._spelled = whole, places, fields, edits, spelled

    def counts(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for edits in self.edits:
            total.update(edits.counts())
        return total

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """Type, original and what took its place, each at least once."""
        for edits in self.edits:
            yield from edits.pairs()

    def joined(self) -> bytes:
        return next(self._after([(0, len(self.whole))]))

    def stretches(self, starts: Offsets, ends: Offsets) -> Iterator[bytes]:
        """What became of these stretches of the content that was given, in ascending order."""
        if self._spelled is not None:
            starts, ends = self._spelled.moved(starts), self._spelled.moved(ends)
        return self._after(zip(starts.tolist(), ends.tolist(), strict=True))

    def _after(self, stretches: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        following = 0
        for start, end in stretches:
            pieces, at = [], start
            while following < len(self.places) and self.places[following][0] < end:
                first, last, new = self.places[following]
                pieces += [self.whole[at:first], new]
                at = last
                following += 1
            yield b"".join((*pieces, self.whole[at:end])) if pieces else self.whole[start:end]


class Rewriter:
    """Finds and replaces by one policy under one key. `of_names`: whatever it is given names fields."""

    def __init__(self, recogniser: Recogniser, replacer: Replacer, locale: str, *, of_names: bool = False) -> None:
        self._recogniser, self._replacer, self._locale, self._of_names = recogniser, replacer, locale, of_names

    def for_names(self) -> Rewriter:
        return Rewriter(self._recogniser, self._replacer, self._locale, of_names=True)

    def text(
        self, content: bytes, areas: Areas, floors: Offsets | None = None, documents: Offsets | None = None
    ) -> Rewriting:
        """`floors`: where the context of each area begins, which stands before it and stays as it is. `documents`:
        where those begin that areas make up together, each one by itself where nothing else is given.
        """
        part = self._part(content, areas, floors, documents)
        [edits] = self._edited([part])
        return part.rewriting(edits)

    def json(self, content: bytes, documents: Offsets, fields: Sequence[str] | None) -> Rewriting:
        """`content` is of valid JSON documents, which begin at `documents`; only strings and numbers in it change.

        Digits as such (NUMBER) change in names of fields, and in numbers of fields that nobody chose, from seven digits
        on: shorter ones count and measure things.
        """
        strings = json_strings.of(content, documents, fields, to_the_letter=self._recogniser.has_patterns)
        buffer = _uncoded(content, documents, strings)
        if exponential := exponents.within(buffer):
            coded = strings.coded.copy()
            coded[np.flatnonzero(~coded)[[number.area for number in exponential]]] = True
            strings = strings._replace(coded=coded)
            buffer = _uncoded(content, documents, strings)
        spared = strings.names | strings.numbers if fields is None else strings.names
        numbers = strings.numbers[~strings.coded]
        parts = [_Part(buffer, spared[~strings.coded], strings.names[~strings.coded], json_strings.said)]
        decoded = _Decoded(content, strings) if strings.coded.any() else None
        if decoded:
            begins = decoded.begins(documents)
            flags = spared[strings.coded], strings.names[strings.coded]
            parts.append(self._part(decoded.content, decoded.areas, None, begins, *flags))
        every = self._edited(parts)
        edits = every[0]
        places = [(start, end, _quoted(new.decode())) for start, end, new in edits.places()]
        if numbers.any() and len(edits.spans):
            places = _with_numbers(content, edits, places, buffer, numbers)
        places = sorted([*places, *nested_numbers.quotes(edits, buffer, backslashes=1)])
        if decoded:
            after = parts[1].rewriting(every[1]).stretches(decoded.areas.starts, decoded.areas.ends)
            places = sorted([*places, *decoded.places(after)])
        return Rewriting(edits.whole, places, every, strings.fields)

    def _part(
        self,
        content: bytes,
        areas: Areas,
        floors: Offsets | None,
        documents: Offsets | None,
        spared: Flags | None = None,
        names: Flags | None = None,
    ) -> _Part:
        """Numbers with an exponent are read as what they stand for, and stay as they are where nothing is found."""
        buffer = Buffer(content, areas, self._escapes(content), floors=floors, documents=documents)
        numbers = exponents.within(buffer)
        if not numbers:
            return _Part(buffer, spared, names)
        spelled = SpelledOut(content, numbers)
        floors, documents = (given if given is None else spelled.moved(given) for given in (floors, documents))
        areas, escapes = Areas(*map(spelled.moved, areas)), self._escapes(spelled.content)
        buffer = Buffer(spelled.content, areas, escapes, floors=floors, documents=documents)
        return _Part(buffer, spared, names, spelled=spelled)

    def _escapes(self, content: bytes) -> Escapes | None:
        return escapes_of_text(content, to_the_letter=self._recogniser.has_patterns)

    def _edited(self, parts: Sequence[_Part]) -> list[Edits]:
        found = self._recogniser.find([part.buffer for part in parts], self._locale)
        return [self._replaced(part, spans) for part, spans in zip(parts, found, strict=True)]

    def _replaced(self, part: _Part, spans: Spans) -> Edits:
        buffer, spared = part.buffer, part.spared
        spans.starts, spans.ends = buffer.outside_escapes(spans.starts, spans.ends)
        spans = spans.take(spans.starts < spans.ends)
        if spared is not None and spared.any():
            short = (spans.kinds == spans.names.index("NUMBER")) & (spans.ends - spans.starts < _COUNTS_NOTHING)
            spans = spans.take(~(short & spared[buffer.area_of(spans.starts)]))
        names = np.ones(len(buffer.areas.starts), dtype=np.bool_) if self._of_names else part.names
        return self._replacer.replace(buffer, spans, part.said, names)


class _Part(NamedTuple):
    """Of what is searched together. `spared`: areas in which only long runs of digits as such change. `names`: those
    that are names of fields. `said`: the text that a stretch is of. `spelled`: what the buffer is of, where that is not
    the content itself.
    """

    buffer: Buffer
    spared: Flags | None = None
    names: Flags | None = None
    said: Said = bytes.decode
    spelled: SpelledOut | None = None

    def rewriting(self, edits: Edits) -> Rewriting:
        places = sorted([*edits.places(), *nested_numbers.quotes(edits, self.buffer, backslashes=0)])
        if self.spelled is not None:
            places = self.spelled.restored(edits.whole, places)
        return Rewriting(edits.whole, places, [edits], spelled=self.spelled)


class _Decoded:
    """Values with exponents, or with escapes there or in their names, which are written anew on change."""

    def __init__(self, content: bytes, strings: Strings) -> None:
        self._content, self._areas = content, strings.areas.take(strings.coded)
        self._numbers = strings.numbers[strings.coded].tolist()
        pieces, spots, at = [], [], 0
        for start, end, name_start, name_end, is_number in zip(
            *(column.tolist() for column in self._areas), self._numbers, strict=True
        ):
            name = json_strings.decoded(content[name_start - 1 : name_end + 1]).encode() if name_end else b""
            sign, value, rest = _number(content, start, end) if is_number else _text(content, start, end)
            first = at + len(name) + 1 + len(sign)
            spots.append((first, first + len(value), at, at + len(name)))
            pieces += [name, b"\n", sign, value, rest, APART]
            at = first + len(value) + len(rest) + 1
        self.content, self._before = b"".join(pieces), pieces[3::6]
        self.areas = Areas(*np.array(spots, dtype=np.int64).T)

    def begins(self, documents: Offsets) -> Offsets:
        """Of the same documents here; one that has none of the values is empty."""
        first = np.searchsorted(self._areas.starts, documents)
        return np.append(self.areas.name_starts, len(self.content))[first]

    def places(self, after: Iterable[bytes]) -> list[Place]:
        """Where in the content those belong that became others."""
        places = []
        for start, end, is_number, old, new in zip(
            self._areas.starts.tolist(), self._areas.ends.tolist(), self._numbers, self._before, after, strict=True
        ):
            if old != new and is_number:
                rest = _rest(self._content, end)
                fits = _NUMBER.fullmatch(new + rest)
                string = _as_string(self._content, start, end + len(rest), new + rest)
                places.append((start, end, new) if fits else string)
            elif old != new:
                places.append((start, end, _quoted(new.decode(), like=self._content[start:end])))
        return places


def _uncoded(content: bytes, documents: Offsets, strings: Strings) -> Buffer:
    areas = strings.areas.take(~strings.coded)
    return Buffer(content, areas, strings.escapes, documents=documents, runs=strings.runs, wide=strings.wide)


_COUNTS_NOTHING = 7
"""Digits from which on a number is rather somebody's than a count or a measure."""

_NUMBER = re.compile(rb"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_REST = re.compile(rb"(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _text(content: bytes, start: int, end: int) -> tuple[bytes, bytes, bytes]:
    return b"", json_strings.decoded(content[start - 1 : end + 1]).encode(), b""


def _number(content: bytes, start: int, end: int) -> tuple[bytes, bytes, bytes]:
    """Its sign, its whole part and what follows that, which tells what it is, as it does in the content itself."""
    sign = b"-" if content[start - 1 : start] == b"-" else b""
    return sign, exponents.read(content[start:end]).encode(), _rest(content, end)


def _rest(content: bytes, end: int) -> bytes:
    """Of a number after its whole part, or after all of it."""
    rest = _REST.match(content, end)
    assert rest is not None
    return rest[0]


def _with_numbers(content: bytes, edits: Edits, places: list[Place], buffer: Buffer, numbers: Flags) -> list[Place]:
    """What took the place of a number and is none, as with a leading zero, becomes a string."""
    area = np.unique(buffer.area_of(edits.spans.starts))
    changed = area[numbers[area]]
    starts, ends = buffer.raw_areas.starts[changed], buffer.raw_areas.ends[changed]
    first = np.array([place[0] for place in places], dtype=np.int64)
    within = np.searchsorted(starts, first, side="right") - 1
    inside = (within >= 0) & (first < np.append(ends, 0)[within])
    texts = Rewriting(edits.whole, [places[n] for n in np.flatnonzero(inside)], []).stretches(starts, ends)
    strings, spelled = list[Place](), list[int]()
    for number, (start, end, text) in enumerate(zip(starts.tolist(), ends.tolist(), texts, strict=True)):
        rest = _rest(content, end)
        if not _NUMBER.fullmatch(text + rest):
            strings.append(_as_string(content, start, end + len(rest), text + rest))
            spelled.append(number)
    covered = np.isin(within, spelled) & inside
    return sorted([*(places[n] for n in np.flatnonzero(~covered)), *strings])


def _as_string(content: bytes, start: int, end: int, text: bytes) -> Place:
    """In the place of a number, of which the sign before it is part."""
    signed = content[start - 1 : start] == b"-"
    return start - signed, end, b'"' + b"-" * signed + text + b'"'


def _quoted(text: str, like: bytes = b"") -> bytes:
    """What stands between the quotes: in ASCII alone, or with slashes escaped, where `like` is so."""
    escaped = b"\\u" in like and like.isascii()
    written = json.dumps(text)[1:-1].encode() if escaped else msgspec.json.encode(text)[1:-1]
    return written.replace(b"/", b"\\/") if _ESCAPED_SLASH.search(like) else written


_ESCAPED_SLASH = re.compile(rb"(?<!\\)(?:\\\\)*\\/")
