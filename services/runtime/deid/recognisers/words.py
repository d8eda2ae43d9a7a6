"""Words that speak for a type where they stand near a candidate, or name its field."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Areas, Buffer, Bytes, Flags, Offsets
from services.runtime.deid.reaches import among_bytes, reach
from services.runtime.deid.recognisers.between import MARKUP
from services.runtime.deid.recognisers.resolution import Places
from services.runtime.deid.recognisers.vocabulary import BITS, WORDS
from services.runtime.deid.spellings import both, spelled

_NEAR_BEFORE = 40
_NEAR_AFTER = 4
_NEXT_WORD = 12
_DIGITS, _LONGEST_COUNT = among_bytes("0123456789"), 2
_SHORTEST_CLAUSE = 7
"""Bytes, with the sign that it begins after."""
_SHORTEST_VALUE = 3
"""Digits; the word before a value says nothing of the next one that has a word of its own."""
_CALLED = re.compile(
    both(
        rf"(?:[\s:=#_\"'(.>-]|：|（|群|号|码|是|为|于|is|no|number|num|id|code|v|{MARKUP}"
        r"|[0-9.]{3,15}\s?(?:[,-]|->|→|、|和|及|或|至|到|and|or|to)){0,12}"
    ).encode(),
    re.IGNORECASE,
)
"""What stands between the name of a number and the number, others of a list included."""

_CALLED_OTHERWISE = re.compile(
    r"(?:[，。；！？,;!?\n]|[:：=]\s?\S{1,40}\s)[\s\"'{\[]*"
    r"(?!(?:其|该|證件|证件|document|its|the|my)?\s?(?:[号號][码碼]?|num(?:ber)?|no|id|value)(?!\w))"
    r"[^\W0-9](?:[^\W0-9]|[ -]){0,23}?[\"'*]{0,3}(?:[:：=#]|[号號][码碼]?|[码碼]|(?<![A-Za-z])(?:no|number|id)\.?)"
    r"[\s\"'*:：=#(（]{0,4}\Z",
    re.IGNORECASE,
)
"""The end of a clause, and another name than a mere `号码` up to where the candidate begins."""


@cache
def listed(classes: frozenset[str]) -> tuple[list[bytes], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Each word once, caseless, with its length, the bits of its classes, and whether it is of letters."""
    bits: dict[str, int] = {}
    for name in sorted(classes):
        words = WORDS[name]
        for word in words:
            for way in spelled(word):
                bits[way] = bits.get(way, 0) | BITS[name]
    listed = [word.encode() for word in bits]
    return (
        listed,
        np.array([len(word) for word in listed], dtype=np.int64),
        np.array(list(bits.values()), dtype=np.int64),
        np.array([word.isascii() for word in listed], dtype=np.bool_),
    )


class Words:
    """The words of a buffer, by where they end: `starts`, `ends`, `bits` of their classes."""

    def __init__(self, content: Bytes, starts: Offsets, ends: Offsets, bits: Offsets) -> None:
        self._content = content
        self.starts, self.ends, self.bits = starts, ends, bits
        self._named: tuple[Areas, Offsets] | None = None

    @classmethod
    def of(cls, content: Bytes, classes: frozenset[str], number: Offsets, ends: Offsets) -> Words:
        """`number`: of each word that is found, as `listed`, with its end; a word of letters is apart from others."""
        _, lengths, bits, ascii_words = listed(classes)
        starts = ends - lengths[number]
        before = content[np.maximum(starts - 1, 0)] * (starts > 0)
        after = content[np.minimum(ends, len(content) - 1)] * (ends < len(content)) if len(content) else before
        first = content[starts] if len(starts) else before
        capital = _is_upper(first)
        apart = ~_is_letter(before) | (_is_lower(before) & capital) | ~_is_letter(first)
        apart &= ~_is_lower(after) | (after == ord("s"))
        kept = apart | ~ascii_words[number]
        return cls(content, starts[kept], ends[kept], bits[number][kept])

    def only(self, bits: int) -> Words:
        """The words of these classes, with those alone."""
        kept = (self.bits & bits) > 0
        return Words(self._content, self.starts[kept], self.ends[kept], self.bits[kept] & bits)

    def every_bit(self) -> int:
        """The classes of which there is a word anywhere."""
        return int(np.bitwise_or.reduce(self.bits, initial=0))

    def near(self, starts: Offsets, ends: Offsets, buffer: Buffer, area: Offsets) -> Offsets:
        """The classes of the nearest words before each candidate, in brackets after it, and in its field's name."""
        if not len(self.ends):
            return np.zeros(len(starts), dtype=np.int64)
        last = np.searchsorted(self.ends, starts, side="right") - 1
        areas, floor = buffer.areas, buffer.floors[area]
        near = (last >= 0) & (starts - self.ends[last] <= _NEAR_BEFORE) & (self.starts[last] >= floor)
        found = np.where(near, self.bits[last], 0)
        earlier = np.maximum(last - 1, 0)
        one_more = near & (last >= 1) & (self.starts[last] - self.ends[earlier] <= _NEXT_WORD)
        one_more &= self.starts[earlier] >= floor
        some = np.flatnonzero(one_more)
        values = buffer.runs.starts[buffer.runs.digits >= _SHORTEST_VALUE]
        between = np.searchsorted(values, self.starts[last[some]]) - np.searchsorted(values, self.ends[earlier[some]])
        one_more[some[between > 0]] = False
        found |= np.where(one_more, self.bits[earlier], 0)
        following = np.minimum(np.searchsorted(self.starts, ends), len(self.starts) - 1)
        gap = self.starts[following] - ends
        after = (gap > 0) & (gap <= _NEAR_AFTER) & (self.ends[following] <= areas.ends[area])
        bracket = self._content[np.minimum(ends, len(self._content) - 1)]
        after &= (bracket == ord("(")) | ((bracket == 0xEF) & (self._content[self.starts[following] - 1] == 0x88))
        found |= np.where(after, self.bits[following], 0)
        return found | self.of_names(areas)[area]

    def called_otherwise(self, bits: Offsets, starts: Offsets, buffer: Buffer, area: Offsets) -> Flags:
        """Whether between the nearest word of one of the classes given for each candidate and the candidate a new
        clause names it: `护照有效，SKU：P12345678`. What the name of its field says holds all the same.
        """
        found = np.zeros(len(starts), dtype=np.bool_)
        asked = np.flatnonzero((bits > 0) & ((bits & self.of_names(buffer.areas)[area]) == 0))
        last = np.searchsorted(self.ends, starts[asked], side="right") - 1
        last -= (last > 0) & ((self.bits[last] & bits[asked]) == 0)
        gap = starts[asked] - self.ends[last]
        far = (gap >= _SHORTEST_CLAUSE) & (gap <= 2 * _NEAR_BEFORE)
        asked, before = asked[far], self.ends[last[far]]
        for index, first, start in zip(asked.tolist(), before.tolist(), starts[asked].tolist(), strict=True):
            between = self._content[first:start].tobytes().decode(errors="ignore")
            found[index] = _CALLED_OTHERWISE.search(between) is not None
        return found

    def right_before(self, bits: Offsets, starts: Offsets, buffer: Buffer, area: Offsets) -> Flags:
        """Whether a word of one of the classes given for each candidate is what it is called, with at most others of
        its like between them: in the text, or as the name of its field.
        """
        found = np.zeros(len(starts), dtype=np.bool_)
        asked = np.flatnonzero(bits)
        if not len(self.ends) or not len(asked):
            return found
        areas, starts, bits, area = buffer.areas, starts[asked], bits[asked], area[asked]
        last = self._last(bits, starts)
        near = (last >= 0) & ((self.bits[last] & bits) > 0) & (self.starts[last] >= buffer.floors[area])
        near &= starts - self.ends[last] <= _NEAR_BEFORE
        called = self._only_called(near, self.ends[last], starts)
        name_ends, begins = areas.name_ends[area], areas.starts[area]
        last = self._last(bits, name_ends)
        near = (last >= 0) & ((self.bits[last] & bits) > 0) & (self.starts[last] >= areas.name_starts[area])
        near &= (name_ends - self.ends[last] <= _NEAR_BEFORE) & (starts - begins <= _NEAR_BEFORE) & ~called
        counted = reach(self._content, name_ends, _DIGITS, _LONGEST_COUNT, back=True)  # `qq2`
        near = self._only_called(near, self.ends[last], name_ends - counted)
        found[asked] = called | self._only_called(near, begins, starts)
        return found

    def _last(self, bits: Offsets, at: Offsets) -> Offsets:
        """The last word up to each place: of the two in `出生日期` the one that is of one of the classes."""
        last = np.searchsorted(self.ends, at, side="right") - 1
        earlier = np.maximum(last - 1, 0)
        other = (last > 0) & (self.bits[last] & bits == 0) & (self.ends[earlier] == self.ends[last])
        return np.where(other, earlier, last)

    def _only_called(self, chosen: Flags, starts: Offsets, ends: Offsets) -> Flags:
        """Of those chosen, between whose two places is nothing but what stands between a name and its number."""
        index = np.flatnonzero(chosen)
        places = zip(starts[index].tolist(), ends[index].tolist(), strict=True)
        fits = [_CALLED.fullmatch(self._content[start:end].tobytes()) is not None for start, end in places]
        called = np.zeros(len(chosen), dtype=np.bool_)
        called[index] = fits
        return called

    def of_names(self, areas: Areas, *, whole: bool = False) -> Offsets:
        """The classes of the words in the name of each area's field; with `whole`, where the word is all of it."""
        if whole:
            return self._of_names(areas, whole=True)
        if self._named is None or self._named[0] is not areas:
            self._named = areas, self._of_names(areas, whole=False)
        return self._named[1]

    def _of_names(self, areas: Areas, *, whole: bool) -> Offsets:
        if not len(self.ends):
            return np.zeros(len(areas.starts), dtype=np.int64)
        found = np.zeros(len(areas.starts), dtype=np.int64)
        last = np.searchsorted(self.ends, areas.name_ends, side="right") - 1
        for back in range(3):
            index = np.maximum(last - back, 0)
            if whole:
                inside = (self.starts[index] == areas.name_starts) & (self.ends[index] == areas.name_ends)
            else:
                inside = self.starts[index] >= areas.name_starts
            inside &= (last >= back) & (areas.name_ends > areas.name_starts)
            found |= np.where(inside, self.bits[index], 0)
        return found

    def followed(
        self, name: str, buffer: Buffer, runs: Places, suitable: Flags, farthest: int
    ) -> list[tuple[int, int]]:
        """Where a word of a class, or the beginning of a field named by one, is closely followed by a suitable run."""
        if not len(runs.starts) or not len(buffer.areas.starts):
            return []
        before = self.ends[(self.bits & BITS[name]) > 0]
        named = (self.of_names(buffer.areas) & BITS[name]) > 0
        if named.any():
            before = np.unique(np.concatenate([before, buffer.areas.starts[named]]))
        following = np.searchsorted(runs.starts, before)
        near = following < len(runs.starts)
        before, following = before[near], following[near]
        near = (runs.starts[following] - before <= farthest) & suitable[following]
        before, following = before[near], following[near]
        same = buffer.floors[buffer.area_of(runs.starts[following])] <= before
        return list(zip(before[same].tolist(), following[same].tolist(), strict=True))


def _is_lower(characters: Bytes) -> NDArray[np.bool_]:
    return (characters - np.uint8(ord("a"))) < 26


def _is_upper(characters: Bytes) -> NDArray[np.bool_]:
    return (characters - np.uint8(ord("A"))) < 26


def _is_letter(characters: Bytes) -> NDArray[np.bool_]:
    return _is_lower(characters | np.uint8(0x20))
