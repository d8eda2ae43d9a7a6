"""Alphabets beyond ASCII: each letter is replaced by one of its own, which has as many bytes.

Their letters are those of Unicode 3.2, which every Python knows, so that pseudonyms are the same on all of them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple
from unicodedata import ucd_3_2_0 as unicode

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.pseudonyms.characters import common_characters

Points = NDArray[np.uint32]

_HAN = range(0x4E00, 0x9FA6)
_RARE_HAN = (
    (range(0x3400, 0x4DC0), range(0x9FA6, 0xA000)),
    (range(0x20000, 0x2A6D7),),
    (range(0x2A700, 0x2B73A), range(0x2B740, 0x2B81E), range(0x2B820, 0x2CEA2), range(0x2CEB0, 0x2EBE1),
     range(0x30000, 0x3134B), range(0x31350, 0x323B0)),
)  # fmt: skip
_HANGUL = range(0xAC00, 0xD7A4)
_OTHERS = (range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xF900, 0xFE00), range(0xFE70, 0xFFFE))
_SIGNS = (range(0x2000, 0x2C00), range(0x3000, 0x3005), range(0xFE00, 0xFE70), range(0x1F000, 0x20000))
"""Without a letter, of whatever version of Unicode."""

SIGN, UNKNOWN = 0, 1
"""Of characters that are no letters, and of those that may be some but have no alphabet."""


class Alphabets(NamedTuple):
    """`of`, `number`: by code point its alphabet and its place in it. `first`, `sizes`: of each alphabet, in `letters`.

    Capitals and small letters are alphabets of their own, in which a letter has the same place.
    """

    of: NDArray[np.uint8]
    number: Points
    first: Points
    sizes: Points
    letters: Points


@cache
def alphabets() -> Alphabets:
    common = [ord(character) for character in common_characters()]
    rest = sorted(set(_HAN) - set(common))
    rare = [[point for stretch in stretches for point in stretch] for stretches in _RARE_HAN]
    given = [common, rest, *rare, list(_HANGUL), *_by_script()]
    of, number = np.full(0x110000, UNKNOWN, dtype=np.uint8), np.zeros(0x110000, dtype=np.uint32)
    for signs in (range(0x80), *_SIGNS):
        of[signs.start : signs.stop] = SIGN
    for stretch in _OTHERS:
        for point in stretch:
            if not _is_letter(unicode.category(chr(point))):
                of[point] = SIGN
    first, sizes = [0, 0], [0, 0]
    at = 0
    for ordinal, points in enumerate(given, 2):
        of[points], number[points] = ordinal, np.arange(len(points))
        first.append(at)
        sizes.append(len(points))
        at += len(points)
    letters = np.concatenate([np.array(points, dtype=np.uint32) for points in given])
    return Alphabets(of, number, np.array(first, dtype=np.uint32), np.array(sizes, dtype=np.uint32), letters)


def _is_letter(category: str) -> bool:
    return category[0] in "LN" or category == "Cn"


def _by_script() -> list[list[int]]:
    """Letters of one script, kind and number of bytes, those that come in both cases apart; and what is left of all."""
    found = dict[tuple[str, str, int], list[int]]()
    for point in (point for stretch in _OTHERS for point in stretch):
        letter = chr(point)
        category = unicode.category(letter)
        if category[0] not in "LN":
            continue
        script = re.split("[ -]", unicode.name(letter))[0]
        small = letter.lower()
        width = len(letter.encode())
        if category == "Lu" and _are_pair(letter, small):
            found.setdefault((script, "capital", width), []).append(point)
            found.setdefault((script, "small", width), []).append(ord(small))
        elif not (category == "Ll" and len(letter.upper()) == 1 and _are_pair(letter.upper(), letter)):
            found.setdefault((script, category[0], width), []).append(point)
    lonely = [points for points in found.values() if len(points) == 1]
    alike = [[point for [point] in lonely if len(chr(point).encode()) == width] for width in (2, 3)]
    return [points for points in (*found.values(), *alike) if len(points) > 1]


def _are_pair(capital: str, small: str) -> bool:
    return (
        len(small) == 1
        and small.upper() == capital
        and capital.lower() == small
        and len(small.encode()) == len(capital.encode())
        and (unicode.category(capital), unicode.category(small)) == ("Lu", "Ll")
    )
