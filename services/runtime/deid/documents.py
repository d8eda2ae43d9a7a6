"""One stretch of a text, or of JSON documents, de-identified as a whole."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from services.runtime.deid import json_strings
from services.runtime.deid.buffers import Areas, Buffer, Flags, Offsets
from services.runtime.deid.json_strings import Strings
from services.runtime.deid.recognisers import Recogniser
from services.runtime.deid.replacing import Edits, Replacer

Place = tuple[int, int, bytes]


class Rewriting:
    """Content with values replaced in place, and `places` (ascending) to be replaced by text of another length."""

    def __init__(
        self, whole: bytes, places: list[Place], edits: Sequence[Edits], fields: frozenset[str] = frozenset()
    ) -> None:
        self.whole, self.places, self.fields, self._edits = whole, places, fields, edits

    def counts(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for edits in self._edits:
            total.update(edits.counts())
        return total

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """Type, original and what took its place, each at least once."""
        for edits in self._edits:
            yield from edits.pairs()

    def joined(self) -> bytes:
        return next(self.stretches(np.array([0]), np.array([len(self.whole)])))

    def stretches(self, starts: Offsets, ends: Offsets) -> Iterator[bytes]:
        """What became of these stretches of the content, in ascending order."""
        following = 0
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            pieces, at = [], start
            while following < len(self.places) and self.places[following][0] < end:
                first, last, new = self.places[following]
                pieces += [self.whole[at:first], new]
                at = last
                following += 1
            yield b"".join((*pieces, self.whole[at:end])) if pieces else self.whole[start:end]


class Rewriter:
    """Finds and replaces by one policy under one key."""

    def __init__(self, recogniser: Recogniser, replacer: Replacer, locale: str) -> None:
        self._recogniser, self._replacer, self._locale = recogniser, replacer, locale

    def text(self, content: bytes, areas: Areas) -> Rewriting:
        edits = self._edited(Buffer(content, areas))
        return Rewriting(edits.whole, edits.places(), [edits])

    def json(self, content: bytes, documents: Offsets, fields: Sequence[str] | None) -> Rewriting:
        """`content` is of valid JSON documents, which begin at `documents`; only strings and numbers in it change.

        Digits as such (NUMBER) change in numbers of chosen fields alone: elsewhere those count and measure things.
        """
        strings = json_strings.of(content, documents, fields)
        plain, numbers = Areas(*(column[~strings.coded] for column in strings.areas)), strings.numbers[~strings.coded]
        buffer = Buffer(content, plain, strings.shown)
        spans = self._recogniser.find(buffer, self._locale)
        if fields is None and numbers.any():
            spans = spans.take(~((spans.kinds == spans.names.index("NUMBER")) & numbers[buffer.area_of(spans.starts)]))
        edits = self._replacer.replace(buffer, spans)
        places = [(start, end, _quoted(new.decode())) for start, end, new in edits.places()]
        if numbers.any() and len(spans):
            places = _with_numbers(content, edits, places, buffer, numbers)
        every = [edits]
        if strings.coded.any():
            coded, more = self._coded(content, strings)
            every.append(coded)
            places = sorted([*places, *more])
        return Rewriting(edits.whole, places, every, strings.fields)

    def _coded(self, content: bytes, strings: Strings) -> tuple[Edits, list[Place]]:
        """Values with escapes of characters are decoded, and written anew in their own way where they change."""
        areas = Areas(*(column[strings.coded] for column in strings.areas))
        pieces, spots, at = [], [], 0
        for start, end, name_start, name_end in zip(*(column.tolist() for column in areas), strict=True):
            name = json_strings.decoded(content[name_start - 1 : name_end + 1]).encode() if name_end else b""
            value = json_strings.decoded(content[start - 1 : end + 1]).encode()
            spots.append((at + len(name) + 1, at + len(name) + 1 + len(value), at, at + len(name)))
            pieces += [name, b"\n", value, b"\n"]
            at += len(name) + len(value) + 2
        columns = np.array(spots, dtype=np.int64).T
        edits = self._edited(Buffer(b"".join(pieces), Areas(*columns)))
        before = pieces[2::4]
        after = Rewriting(edits.whole, edits.places(), []).stretches(columns[0], columns[1])
        places = []
        for start, end, old, new in zip(areas.starts.tolist(), areas.ends.tolist(), before, after, strict=True):
            if old != new:
                places.append((start, end, _quoted(new.decode(), like=content[start:end])))
        return edits, places

    def _edited(self, buffer: Buffer) -> Edits:
        return self._replacer.replace(buffer, self._recogniser.find(buffer, self._locale))


_NUMBER = re.compile(rb"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_REST = re.compile(rb"(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _with_numbers(content: bytes, edits: Edits, places: list[Place], buffer: Buffer, numbers: Flags) -> list[Place]:
    """What took the place of a number and is none, as with a leading zero, becomes a string."""
    area = np.unique(buffer.area_of(edits.spans.starts))
    changed = area[numbers[area]]
    starts, ends = buffer.raw_areas.starts[changed], buffer.raw_areas.ends[changed]
    first = np.array([place[0] for place in places], dtype=np.int64)
    within = np.searchsorted(starts, first, side="right") - 1
    inside = (within >= 0) & (first < np.append(ends, 0)[within])
    texts = Rewriting(edits.whole, [places[n] for n in np.flatnonzero(inside)], []).stretches(starts, ends)
    strings = list[Place]()
    for start, end, text in zip(starts.tolist(), ends.tolist(), texts, strict=True):
        rest = _REST.match(content, end)
        assert rest is not None
        if not _NUMBER.fullmatch(text + rest[0]):
            strings.append((start, rest.end(), b'"' + text + rest[0] + b'"'))
    covered = np.isin(within, np.searchsorted(starts, [start for start, _, _ in strings])) & inside
    return sorted([*(places[n] for n in np.flatnonzero(~covered)), *strings])


def _quoted(text: str, like: bytes = b"") -> bytes:
    """What stands between the quotes: in ASCII alone, or with slashes escaped, where `like` is so."""
    escaped = b"\\u" in like and like.isascii()
    written = json.dumps(text)[1:-1].encode() if escaped else msgspec.json.encode(text)[1:-1]
    return written.replace(b"/", b"\\/") if b"\\/" in like else written
