"""Values that not their form alone told, where the same document has them again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Buffer, Bytes, Flags, Offsets
from services.runtime.deid.kinds import TYPES
from services.runtime.deid.reaches import ALNUM, among_bytes, windows
from services.runtime.deid.recognisers.resolution import Places, apart
from services.runtime.deid.spans import Spans
from services.runtime.deid.trunks import after_country_code

TOLD = frozenset(TYPES) - {"URL", "DATE", "ADDRESS", "PERSON", "NUMBER"}
"""Types of what is somebody's wherever it stands, and that are no types of policies' own."""
_WITH_SIGNS = frozenset({"API_KEY", "WECHAT", "EMAIL", "IPV4", "IPV6", "CN_PLATE"})
"""Types of which another spelling is another value; of the others letters and digits alone count."""
_SHORTEST, _LONGEST = 5, 256
"""Bytes of a value."""
_SHORTEST_OTHERWISE = 7
"""Letters and digits of a value in another spelling: of less than these, groups of digits are much else."""
_MOST_WORDS, _MOST_SIGNS = 8, 16
_SIGN = among_bytes("@#$%^&*!?~+.-_")
_SIGNS = frozenset(np.flatnonzero(_SIGN).tolist())
_LINKED = re.compile(
    rb"[0-9A-Za-z]+(?:(?:[ ./_()-]|\xef\xbc[\x88\x89]|\xe2\x80[\x90-\x95]){1,3}[0-9A-Za-z]+)*"  # also （ ） – —
)
_BESIDES = bytes(np.flatnonzero(~ALNUM).tolist())


def repeated(spans: Sequence[Spans], buffers: Sequence[Buffer]) -> list[Spans]:
    """Of each buffer, in ascending order, what is a value that `spans` of any tell in the same document.

    It is apart from them, or of the same extent as one that its form alone told. What has letters alone may be any word
    elsewhere.
    """
    told = [_told(some, buffer) for some, buffer in zip(spans, buffers, strict=True)]
    every = reduce(Spans.joined, told)
    if not len(every):
        return [every] * len(buffers)
    of = [
        np.searchsorted(buffer.documents, some.starts, side="right") - 1
        for some, buffer in zip(told, buffers, strict=True)
    ]
    asked = np.unique(np.concatenate(of))
    words = [_Words(buffer, asked) for buffer in buffers]
    likely = _Likely(every.names)
    for some, own in zip(told, words, strict=True):
        likely.add(own, some)
    places = [likely.places(own) for own in words]
    places = [some.take(_free(some, others)) for some, others in zip(places, spans, strict=True)]
    if not any(len(some.starts) for some in places):
        return [Spans.none(every.names)] * len(buffers)
    known = _Known(every.names)
    for some, buffer, documents in zip(told, buffers, of, strict=True):
        known.add(some, buffer.text, documents)
    again = [_again(some, buffer, known, every) for some, buffer in zip(places, buffers, strict=True)]
    return [some.take(_free(some, others)) for some, others in zip(again, spans, strict=True)]


def _told(spans: Spans, buffer: Buffer) -> Spans:
    lengths = spans.ends - spans.starts
    kinds = [number for number, name in enumerate(spans.names) if name in TOLD]
    told = spans.told & np.isin(spans.kinds, kinds) & (lengths >= _SHORTEST) & (lengths <= _LONGEST)
    return _at_home(spans.take(told), buffer)


def _at_home(spans: Spans, buffer: Buffer) -> Spans:
    """Without landlines after a country code: what is the same elsewhere is another number there."""
    abroad = spans.kinds == spans.names.index("CN_LANDLINE")
    if abroad.any():
        abroad[abroad] = after_country_code(buffer.bytes, spans.starts[abroad])
    return spans.take(~abroad)


class _Places(NamedTuple):
    """Of which document each is, where it starts, and where it ends."""

    documents: Offsets
    starts: Offsets
    ends: Offsets

    def take(self, chosen: Flags) -> _Places:
        return _Places(*(column[chosen] for column in self))


def _free(places: Places, spans: Spans) -> Flags:
    free = apart(places, spans)
    if len(spans):
        same = np.minimum(np.searchsorted(spans.starts, places.starts), len(spans) - 1)
        free |= (spans.starts[same] == places.starts) & (spans.ends[same] == places.ends) & ~spans.told[same]
    return free


class _Words:
    """Stretches of letters and digits in these documents of a buffer. `edges`: how many of those come before each
    word, and before the end; `glued`: whether one sign is all that stands between a word and the one before.
    """

    def __init__(self, buffer: Buffer, documents: Offsets) -> None:
        begins = buffer.documents[documents]
        sizes = np.append(buffer.documents[1:], len(buffer.bytes))[documents] - begins
        content: Bytes = np.concatenate(
            [buffer.bytes[begin : begin + size] for begin, size in zip(begins.tolist(), sizes.tolist(), strict=True)]
        )
        self._at = np.cumsum(sizes) - sizes
        self._begins, self._documents = begins, documents
        inside = np.zeros(len(content) + 2, dtype=np.bool_)
        inside[1:-1] = ALNUM[content]
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        self._starts, self._ends = edges[::2], edges[1::2]
        self._count = np.cumsum(inside[:-1], dtype=np.int32)
        self._folded = np.append(content[inside[1:-1]] | np.uint8(0x20), np.zeros(_HEAD, dtype=np.uint8))
        self.glued: Flags = np.zeros(len(self._starts) + 1, dtype=np.bool_)
        gaps = self._starts[1:] - self._ends[:-1]
        sign = content[self._ends[:-1]]
        self.glued[1:-1] = (gaps == 1) & _SIGN[sign]
        self._signs = np.cumsum(_POWERS[np.append(0, np.where(gaps == 1, sign, 0))])
        self.edges: Offsets = self._count[np.append(self._starts, len(content))].astype(np.int64)

    def __len__(self) -> int:
        return len(self._starts)

    def heads(self, firsts: Offsets) -> Offsets:
        """What the characters from each of these on begin with, as numbers below _HEADS."""
        head = windows(self._folded, firsts, _HEAD).view("<u4")[:, 0]
        return (head * np.uint32(2654435761) >> np.uint32(16)).astype(np.int64)

    def hashes(self, firsts: Offsets, lengths: Offsets) -> Hashes:
        """Of as many characters from each of these on, none longer than a value."""
        if not len(firsts):
            return np.zeros(0, dtype=np.uint64)
        begins = np.cumsum(lengths) - lengths
        place = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
        characters = self._folded[np.repeat(firsts, lengths) + place].astype(np.uint64)
        return np.add.reduceat(characters * _POWERS[place], begins)

    def of_spans(self, spans: Spans) -> tuple[Offsets, Offsets]:
        """The first character, and how many there are, which may be none."""
        part = np.searchsorted(self._begins, spans.starts, side="right") - 1
        shift = self._at[part] - self._begins[part]
        first, last = (self._count[offsets + shift].astype(np.int64) for offsets in (spans.starts, spans.ends))
        return first, last - first

    def signs_within(self, firsts: Offsets, lengths: Offsets) -> Hashes:
        """Between the words of as many characters, one or more, from each of these on."""
        ends = firsts, firsts + lengths - 1
        return self.signs(*(np.searchsorted(self.edges, number, side="right") - 1 for number in ends))

    def signs(self, first: Offsets, last: Offsets) -> Hashes:
        """Of all that stands between the words of a row, in whatever order."""
        signs: Hashes = self._signs[last] - self._signs[first]
        return signs

    def places(self, first: Offsets, last: Offsets) -> _Places:
        """From each first word to its last one."""
        starts, ends = self._starts[first], self._ends[last]
        part = np.searchsorted(self._at, starts, side="right") - 1
        shift = self._begins[part] - self._at[part]
        return _Places(self._documents[part], starts + shift, ends + shift)


_HEAD, _HEADS = 4, 1 << 16
Hashes = NDArray[np.uint64]
_POWERS = np.cumprod(np.array([1, *[0x9E3779B97F4A7C15] * _LONGEST], dtype=np.uint64))
"""Of an odd number: the hash of a stretch and the next is its own plus the power for its length times the other's."""


class _Likely:
    """Values by their letters and digits, as rows of words may have them: how they begin, and their hashes. `_exact`
    are those with the signs between their words, which no other spelling has, of all; `_folded` of types that
    may be spelled otherwise.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._with_signs = [number for number, name in enumerate(names) if name in _WITH_SIGNS]
        self._heads, none = np.zeros(_HEADS, dtype=np.bool_), np.zeros(0, dtype=np.uint64)
        self._exact, self._folded = none, none

    def add(self, words: _Words, spans: Spans) -> None:
        first, length = words.of_spans(spans)
        enough = length >= _HEAD
        first, length = first[enough], length[enough]
        self._heads[words.heads(first)] = True
        hashes, folded = words.hashes(first, length), ~np.isin(spans.kinds[enough], self._with_signs)
        self._exact = np.union1d(self._exact, hashes + words.signs_within(first, length))
        self._folded = np.union1d(self._folded, hashes[folded])

    def places(self, words: _Words) -> _Places:
        """In ascending order, the longest first of those that start together. A single sign between a place and more
        letters or digits would make it part of something.
        """
        first = np.flatnonzero(self._heads[words.heads(words.edges[:-1])] & ~words.glued[:-1])
        found, of_words = [(first[:0], first[:0])], self._of_words(words, first)
        length, hashes = np.zeros(len(first), dtype=np.int64), np.zeros(len(first), dtype=np.uint64)
        for more in range(_MOST_WORDS):
            longer = words.edges[np.minimum(first + more + 1, len(words))] - words.edges[first]
            fits = (first + more < len(words)) & (longer <= _LONGEST)
            first, length, longer, hashes = first[fits], length[fits], longer[fits], hashes[fits]
            hashes, length = hashes + _POWERS[length] * of_words[first + more], longer
            known = _are_in(hashes, self._folded) | _are_in(hashes + words.signs(first, first + more), self._exact)
            whole = first[known & ~words.glued[first + more + 1]]
            found.append((whole, whole + more))
        firsts, lasts = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.lexsort((-lasts, firsts))
        return words.places(firsts[order], lasts[order])

    @staticmethod
    def _of_words(words: _Words, firsts: Offsets) -> Hashes:
        """The hash of each word that is one of these or follows one."""
        asked = np.zeros(len(words) + _MOST_WORDS, dtype=np.bool_)
        for more in range(_MOST_WORDS):
            asked[firsts + more] = True
        some = np.flatnonzero(asked[: len(words)])
        lengths = np.minimum(words.edges[some + 1] - words.edges[some], _LONGEST)
        hashes = np.zeros(len(words), dtype=np.uint64)
        hashes[some] = words.hashes(words.edges[some], lengths)
        return hashes


def _are_in(hashes: Hashes, known: Hashes) -> Flags:
    if not len(known):
        return np.zeros(len(hashes), dtype=np.bool_)
    at = np.searchsorted(known, hashes)
    found: Flags = known[np.minimum(at, len(known) - 1)] == hashes
    return found


class _Known:
    """Values by their documents: as they are, and by their letters and digits alone."""

    def __init__(self, names: Sequence[str]) -> None:
        self._with_signs = frozenset(number for number, name in enumerate(names) if name in _WITH_SIGNS)
        self._exact = dict[tuple[int, bytes], int]()
        self._folded = dict[tuple[int, bytes], int | None]()
        self._count = 0

    def add(self, spans: Spans, content: bytes, documents: Offsets) -> None:
        columns = documents, spans.starts, spans.ends, spans.kinds
        for document, start, end, kind in zip(*(column.tolist() for column in columns), strict=True):
            value = content[start:end]
            if not value.replace(b" ", b"").isalpha():
                self._exact.setdefault((document, value), self._count)
                key = document, _folded(value)
                if self._folded.get(key) is None:
                    self._folded[key] = None if kind in self._with_signs else self._count
            self._count += 1

    def at(self, document: int, content: bytes, start: int, end: int) -> tuple[int, int, int] | None:
        """The number of the value that is there, where it starts, and where it ends."""
        value = content[start:end]
        key = document, _folded(value)
        if key not in self._folded:
            return None
        if (number := self._exact.get((document, value))) is not None:
            return number, start, end
        for first, last in _with_signs(content, start, end):
            if (number := self._exact.get((document, content[first:last]))) is not None:
                return number, first, last
        number = self._folded[key]
        if number is None or len(key[1]) < _SHORTEST_OTHERWISE or not _LINKED.fullmatch(value):
            return None
        return number, start, end


def _folded(value: bytes) -> bytes:
    return value.translate(None, _BESIDES).lower()


def _with_signs(content: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The place with the signs beside it, of which one may be the sentence's, or with a 汉字 before it."""
    before, after = content[start - 1] if start else 0, content[end] if end < len(content) else 0
    if before < 0x80 and before not in _SIGNS and after not in _SIGNS:
        return
    first, last = start, end
    while start - first < _MOST_SIGNS and first and content[first - 1] in _SIGNS:
        first -= 1
    while last - end < _MOST_SIGNS and last < len(content) and content[last] in _SIGNS:
        last += 1
    firsts = (start, start - 3) if before > 0x7F else (start, first, min(first + 1, start))
    yield from product(dict.fromkeys(firsts), dict.fromkeys((end, last, max(last - 1, end))))


def _again(places: _Places, buffer: Buffer, known: _Known, every: Spans) -> Spans:
    """What is known of these, as those of `every` that they are like: the longest from each place on."""
    over, found = 0, list[tuple[int, int, int]]()
    for document, start, end in zip(*(column.tolist() for column in places), strict=True):
        if start >= over and (at := known.at(document, buffer.text, start, end)) and at[1] >= over:
            over = at[2]
            found.append(at)
    like, starts, ends = np.array(found, dtype=np.int64).reshape(-1, 3).T
    same = every.take(like)
    again = Spans(every.names, same.kinds, starts, ends, same.scores, same.checked, same.told)
    return _at_home(again, buffer)
