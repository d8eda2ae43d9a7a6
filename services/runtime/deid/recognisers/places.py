"""Addresses of people in texts, after a word for them."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import Buffer, Flags, Offsets
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.recognisers.latin_names import CAPITAL, LABEL_ENDS, LABELS, LETTER, PARTICLE
from services.runtime.deid.recognisers.vocabulary import BITS, WORDS
from services.runtime.deid.recognisers.words import Words
from services.runtime.deid.spellings import both

FARTHEST = 240
"""Bytes after a word that are looked at."""
_LONGEST_PART = 200
_SCORE = 0.6
_HAN = r"[\u4e00-\u9fa5]"
_PLACE = re.compile(
    rf"[\s:：为為是在于於\"“]{{0,8}}({_HAN}{{2,8}}(?:省|市|自治[区區]|[区區]|[县縣])[\u4e00-\u9fa50-9A-Za-z（）()#-]{{2,40}}?"
    r"(?:[号號室栋棟楼樓弄村组組座层層]|单元|單元)(?:[0-9A-Za-z\u4e00-\u9fa5-]{0,12}?(?:[号號室栋棟楼樓层層]|单元|單元))*)"
)
_HIDDEN = re.compile(
    r"(?:[\s:\"]|：|为|是|在|于|“){0,3}HAN(?:HAN|[0-9A-Za-z()#-]|（|）){3,61}".encode().replace(
        b"HAN", rb"[\xe4-\xe9][\x80-\xbf]{2}"
    )
)
_TOKEN = rf"(?:[A-Z][A-Za-z.]{{0,4}}\.|[{CAPITAL}0-9#][{LETTER}0-9'’#/-]{{0,30}})"
_LATIN = re.compile(
    r"(?:[ \t\"'*]{0,4}[:：=][\s\"'“*]{0,8}| (?:is|to) )"
    rf"(\d{{1,6}}[A-Za-z]?(?:[-/]\d{{1,5}})?(?= (?:[{CAPITAL}0-9]+[a-z]{{0,2}} )?[{CAPITAL}][{LETTER}.])"
    rf"(?:(?:,? |,\n ?|\n ?(?=[^\n:]{{1,40}}\d[^\n:]{{0,12}}(?:\n|\Z)))(?:{PARTICLE} ){{0,2}}{_TOKEN}){{1,18}})"
)
"""A number, and words in capitals or numbers up to anything else; lines that follow have a comma or a number, too."""


_OBJECT = re.compile(
    both(rf"[\"'][\w ]{{0,24}}(?:{'|'.join(WORDS['address'])})[\"']\s*:\s*\[?\s*\{{[^{{}}\[\]]{{0,200}}\Z"),
    re.IGNORECASE,
)
"""What stands before the name of a field in the object that is an address."""


def find(buffer: Buffer, words: Words, out: Candidates) -> None:
    """After a word for them, and the parts of an object of that name."""
    if "ADDRESS" not in out.wanted:
        return
    _in_objects(buffer, words, out)
    content, over = buffer.text, 0
    for end, limit in zip(*(column.tolist() for column in _told(buffer, words)), strict=True):
        if end < over:  # a word within an address announces nothing
            continue
        window = content[end:limit].decode(errors="ignore")
        if place := _han(window) or _latin(window):
            first, over = (end + len(window[:offset].encode()) for offset in place)
            out.add_one("ADDRESS", first + MARGIN, over + MARGIN, _SCORE)


def _in_objects(buffer: Buffer, words: Words, out: Candidates) -> None:
    areas, content = buffer.areas, buffer.text
    if not words.every_bit() & BITS["place"]:
        return
    lengths = areas.ends - areas.starts
    parts = (words.of_names(areas, whole=True) & BITS["place"] > 0) & (lengths > 0) & (lengths <= _LONGEST_PART)
    for index in np.flatnonzero(parts).tolist():
        start, end, name, _ = (int(column[index]) for column in areas)
        before = content[max(0, name - 1 - FARTHEST) : max(0, name - 1)].decode(errors="ignore")
        if content[start - 1 : start] == b'"' and _OBJECT.search(before):
            out.add_one("ADDRESS", start + MARGIN, end + MARGIN, _SCORE)


def _han(window: str) -> tuple[int, int] | None:
    found = _PLACE.match(window)
    return found.span(1) if found else None


def _latin(window: str) -> tuple[int, int] | None:
    """Without the words of the next label."""
    found = _LATIN.match(window)
    if not found:
        return None
    tokens = found[1].split(" ")
    if LABEL_ENDS.match(window, found.end()):
        tokens.pop()
        while tokens[-1].lower() in LABELS:
            tokens.pop()
    place = " ".join(tokens).rstrip(",\n")
    return (found.start(1), found.start(1) + len(place)) if len(tokens) > 1 else None


def in_hidden(buffer: Buffer, words: Words, starts: Offsets) -> Flags:
    """Which of these are in what may be the pseudonym of an address in a text, whose end nothing tells any more."""
    hidden = np.zeros(len(starts), dtype=np.bool_)
    ends, limits = _told(buffer, words)
    near = np.searchsorted(starts, ends) < np.searchsorted(starts, limits)
    content, over = buffer.text, 0
    for end, limit in zip(ends[near].tolist(), limits[near].tolist(), strict=True):
        if end >= over and (found := _HIDDEN.match(content, end, limit)):
            over = found.end()
            hidden[slice(*np.searchsorted(starts, [end, over]))] = True
    return hidden


def _told(buffer: Buffer, words: Words) -> tuple[Offsets, Offsets]:
    """Where words for addresses end, and what they announce: in their own area, or in the value of their field."""
    ends = np.unique(words.ends[(words.bits & BITS["address"]) > 0])
    area = np.minimum(np.searchsorted(buffer.areas.ends, ends), len(buffer.areas.ends) - 1)
    return ends, np.minimum(ends + FARTHEST, buffer.areas.ends[area])
