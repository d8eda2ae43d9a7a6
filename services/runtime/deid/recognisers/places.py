"""Addresses of people in texts, after a word for them."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import Buffer, Flags, Offsets
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.recognisers.words import BITS, Words

FARTHEST = 240
"""Bytes after a word that are looked at."""
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


def find(buffer: Buffer, words: Words, out: Candidates) -> None:
    if "ADDRESS" not in out.wanted:
        return
    content, over = buffer.text, 0
    for end, limit in zip(*(column.tolist() for column in _told(buffer, words)), strict=True):
        if end < over:  # a word within an address announces nothing
            continue
        window = content[end:limit].decode(errors="ignore")
        if found := _PLACE.match(window):
            first = end + len(window[: found.start(1)].encode())
            over = first + len(found[1].encode())
            out.add_one("ADDRESS", first + MARGIN, over + MARGIN, _SCORE)


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
