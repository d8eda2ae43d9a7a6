"""Digits that are nobody's: fractions, parts of UUIDs and hashes, literals and offsets, dates of models and versions,
numbers of books and documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from services.runtime.deid.buffers import Buffer, Flags, Offsets
from services.runtime.deid.calendar import is_day
from services.runtime.deid.reaches import ALNUM, HEX, among_bytes, is_digit, is_letter, reach, windows
from services.runtime.deid.recognisers.dates import after_a_name
from services.runtime.deid.recognisers.groups import MARGIN, Groups, number
from services.runtime.deid.recognisers.vocabulary import BITS
from services.runtime.deid.recognisers.words import Words

_HASHES = (32, 40, 56, 64, 96, 128)
"""Hexadecimal digits of MD5, SHA-1, and the SHA-2 and SHA-3 families."""
_LONGEST_HASH = 128
_SHORT_HASHES, _LONGEST_RUN = (12, 16, 20, 24), 10
"""Those of commits, spans and documents, where there are more digits than a run, which is shorter than a phone."""
_LONGEST_LITERAL = 64
_DASHES = [8, 13, 18, 23]
_UUID = 36
_MODELS = range(2015, 2036)
"""Years of models: few enough that a pseudonym is hardly ever such a day, and would be left when it is reversed."""
_ISBN_FARTHEST = 8
_LONGEST_WORD = 40
_BASES = among_bytes("bBoO")
_COMMIT = rb"(?=[0-9]{0,11}[a-f])[0-9a-f]{12}(?![0-9A-Za-z])"
_TIME_DIGITS, _COMMIT_DIGITS = 14, 12
_PSEUDO_VERSION = re.compile(rb"[.-](?P<own>[0-9]{14})-%b" % _COMMIT)
_BUILD = re.compile(rb"\+[A-Za-z][0-9A-Za-z-]*\.(?P<own>20[0-9]{6})(?![0-9A-Za-z])")
_OFFSET = re.compile(rb"(?<![^\0\n])(?P<own>000[0-9]{3,4}0)(?:: ?| {1,2})[0-9a-f]{2,6}(?: {1,2}[0-9a-f]{2,6}){3}")


class Identifiers:
    """What names documents, schemas and namespaces, after the word for it or in a field of that name; ascending."""

    def __init__(self, words: Words, buffer: Buffer) -> None:
        told = words.every_bit()
        places = [place for name in _IDENTIFIERS if told & BITS[name] for place in self._places(name, words, buffer)]
        both = np.array(sorted(places), dtype=np.int64).reshape(-1, 2).T
        self.starts: Offsets = both[0]
        self.ends: Offsets = both[1]

    @staticmethod
    def _places(name: str, words: Words, buffer: Buffer) -> Iterator[tuple[int, int]]:
        areas = buffer.areas
        told = words.ends[(words.bits & BITS[name]) > 0]
        told = np.unique(np.concatenate([told, areas.starts[(words.of_names(areas) & BITS[name]) > 0]]))
        content, after = buffer.text, 0
        for place in told.tolist():
            if place >= after and (found := _IDENTIFIERS[name].match(content, place)):
                area = buffer.area_of(np.array([found.start(1)]))[0]
                if buffer.floors[area] <= place:
                    after = min(found.end(1), int(areas.ends[area]))
                    yield found.start(1), after


_NAMESPACE = rb"https?://(?:[0-9A-Za-z-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![0-9A-Za-z.@:-])[^\s\"'<>\\@?\x80-\xff\0]{0,200}"
_IDENTIFIERS = {
    "doi": re.compile(
        r"(?:[\s:=\"']|：){0,4}(?:https?://(?:dx\.)?doi\.org/)?"
        r"(10\.[0-9]{4,9}/[^\s\"'<>,;\\\x80-\xff\0]{1,200})".encode()
    ),
    "schema": re.compile(
        rb"(?::[A-Za-z][0-9A-Za-z._-]{0,40})?[\s:=\"'\\]{0,6}(%b(?:\s+(?:%b|[0-9A-Za-z./_-]{1,100}\.xsd)){0,20})"
        % (_NAMESPACE, _NAMESPACE)
    ),
    "doctype": re.compile(rb"\s[^<>\[\]\0]{1,200}?\\?[\"'](%b)" % _NAMESPACE),
}
"""By class of their word what follows it; a schema's may be a list with places."""


def spared(groups: Groups, runs: Offsets, words: Words, buffer: Buffer) -> Flags:
    """Which of these runs of digits."""
    found = _fraction(groups, runs) | _of_a_model(groups, runs) | _isbn(groups, runs, words, buffer)
    found |= _literal(groups, runs) | _of_a_build(groups, runs)
    beside = groups.letter_before[runs] | groups.letter_after[runs]
    beside |= (groups.before[runs] == ord("-")) | (groups.after[runs] == ord("-"))
    worth = np.flatnonzero(beside & ~found)
    if len(worth):
        found[worth] = _hexadecimal(groups, runs[worth])
    return found


def _fraction(groups: Groups, runs: Offsets) -> Flags:
    """Of a number with one point, and nothing of a word before it."""
    found: Flags = groups.after_point[runs] & ~groups.before_point[runs]
    whole = np.maximum(runs - 1, 0)
    found &= ~groups.after_point[whole] & ~groups.letter_before[whole]
    return found


def _of_a_model(groups: Groups, runs: Offsets) -> Flags:
    found: Flags = (groups.n[runs] == 8) & (groups.before[runs] == ord("-"))
    worth = np.flatnonzero(found)
    if len(worth):
        rows = groups.rows(runs[worth], (8,))
        year = number(rows, 0, 4)
        day = is_day(year, number(rows, 4, 8)) & (year >= _MODELS.start) & (year < _MODELS.stop)
        found[worth] = day & (after_a_name(groups, runs[worth]) | _after_a_word(groups, runs[worth]))
    return found


def _after_a_word(groups: Groups, runs: Offsets) -> Flags:
    """What stands before the dash begins with a letter: `0.4.2-cu121-20240510`."""
    dash = groups.starts[runs] - 1
    return is_letter(groups.content[dash - reach(groups.content, dash, ALNUM, _LONGEST_WORD, back=True)])


def _literal(groups: Groups, runs: Offsets) -> Flags:
    """Of base 2 or 8, as code has them."""
    content, starts = groups.content, groups.starts[runs]
    found: Flags = groups.letter_before[runs] & _BASES[content[starts - 1]] & (content[starts - 2] == ord("0"))
    found &= ~ALNUM[content[starts - 3]] & ~groups.letter_after[runs]
    return found


def _of_a_build(groups: Groups, runs: Offsets) -> Flags:
    """The time of a pseudo-version of Go, a day of build metadata, the offset of a line of a dump."""
    n, before, after = groups.n[runs], groups.before[runs], groups.after[runs]
    found = np.zeros(len(runs), dtype=np.bool_)
    offset = ((n == 7) | (n == 8)) & ((after == ord(" ")) | (after == ord(":")))
    offset &= (groups.digit(runs, 0) == 0) & (groups.digit(runs, 1) == 0)
    for chosen, expression, back in (
        ((n == 14) & (after == ord("-")), _PSEUDO_VERSION, 1),
        ((n == 8) & (before == ord(".")), _BUILD, _LONGEST_WORD),
        (offset, _OFFSET, 1),
    ):
        for index in np.flatnonzero(chosen).tolist():
            start, end = int(groups.starts[runs[index]]), int(groups.ends[runs[index]])
            found[index] |= any(
                match.end("own") == end
                for match in expression.finditer(groups.searched, start - back, end + _LONGEST_WORD)
            )
    return found


def _isbn(groups: Groups, runs: Offsets, words: Words, buffer: Buffer) -> Flags:
    """Closely after the word, or in a field of that name."""
    if not words.every_bit() & BITS["isbn"]:
        return np.zeros(len(runs), dtype=np.bool_)
    found: Flags = np.isin(groups.n[runs], (9, 10, 13))
    worth = np.flatnonzero(found)
    starts = groups.starts[runs[worth]] - MARGIN
    last = np.searchsorted(words.ends, starts, side="right") - 1
    area = np.maximum(buffer.area_of(starts), 0)
    near = (last >= 0) & (starts - words.ends[last] <= _ISBN_FARTHEST) & (words.starts[last] >= buffer.floors[area])
    told = np.where(near, words.bits[last], 0) | words.of_names(buffer.areas)[area]
    found[worth] = (told & BITS["isbn"]) > 0
    return found


def _hexadecimal(groups: Groups, runs: Offsets) -> Flags:
    content, starts, ends = groups.content, groups.starts[runs], groups.ends[runs]
    first = starts - reach(content, starts, HEX, _LONGEST_HASH, back=True)
    last = ends + reach(content, ends, HEX, _LONGEST_HASH)
    length = last - first
    literal = ((content[first - 1] | 0x20) == ord("x")) & (content[first - 2] == ord("0")) & ~ALNUM[content[first - 3]]
    whole = ~ALNUM[content[last]] & (literal | ~ALNUM[content[first - 1]])
    found: Flags = whole & np.isin(length, _HASHES) & (length > ends - starts)
    found |= whole & literal & (length <= _LONGEST_LITERAL)
    short = np.flatnonzero(whole & np.isin(length, _SHORT_HASHES) & (ends - starts <= _LONGEST_RUN))
    if len(short):
        steps = np.arange(max(_SHORT_HASHES))
        digits = is_digit(windows(content, first[short], len(steps))) & (steps < length[short][:, None])
        found[short] |= digits.sum(axis=1) > (ends - starts)[short]
    for index in np.flatnonzero(whole & (length == _COMMIT_DIGITS)).tolist():
        place = int(first[index]) - _TIME_DIGITS - 1
        found[index] |= _PSEUDO_VERSION.match(groups.searched, place - 1) is not None
    for own, before in ((8, 0), (12, _UUID - 12)):  # only these two of its groups hold seven digits
        worth = np.flatnonzero(length == own)
        found[worth] |= _uuid(groups, first[worth] - before)
    return found


def _uuid(groups: Groups, starts: Offsets) -> Flags:
    window = windows(groups.content, starts, _UUID)
    fits: Flags = HEX[window]
    fits[:, _DASHES] = window[:, _DASHES] == ord("-")
    found: Flags = np.asarray(fits.all(axis=1))
    return found & ~ALNUM[groups.content[starts - 1]] & ~ALNUM[groups.content[starts + _UUID]]
