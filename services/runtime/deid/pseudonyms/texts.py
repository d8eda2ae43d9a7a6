"""Pseudonyms of texts: letters, digits and 汉字 by others of their own class, whatever the text means."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from string import ascii_uppercase, digits

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.pseudonyms.characters import Characters, common_characters
from services.runtime.deid.pseudonyms.plans import KEY_PREFIXES, PLATE_LETTERS

_LETTERS = frozenset({"EMAIL", "URL", "API_KEY", "WECHAT", "MAC", "IPV6", "CN_PLATE"})
"""Of ASCII; other types may have 汉字."""


def write(
    characters: Characters, kind: str, content: Bytes, changed: Bytes, starts: Offsets, ends: Offsets, *, inverse: bool
) -> None:
    """Writes over `changed` what takes the place of the texts of one type that `content` has at these places."""
    for chosen in _by_length(ends - starts):
        _write(characters, kind, content, changed, starts[chosen], ends[chosen], inverse=inverse)


def _write(
    characters: Characters, kind: str, content: Bytes, changed: Bytes, starts: Offsets, ends: Offsets, *, inverse: bool
) -> None:
    width = int((ends - starts).max())
    steps = np.arange(width)
    inside = steps < (ends - starts)[:, None]
    window = np.where(inside, content[np.minimum(starts[:, None] + steps, len(content) - 1)], 0).astype(np.uint8)
    inside &= _permuted_positions(kind, window, inside)
    hexadecimal = kind in {"MAC", "IPV6"}
    values, radices = _CLASSES.get(kind, _PLAIN)
    radix = np.where(inside, radices[window], 0)
    value = values[window]
    if kind == "IPV6":
        value, radix = _significant(window, value, radix)
    place = np.broadcast_to(steps, window.shape)
    if kind not in _LETTERS:
        value, radix = _with_han(window, value, radix)
    compact = np.argsort(radix == 0, axis=1, kind="stable")
    value, radix = np.take_along_axis(value, compact, 1), np.take_along_axis(radix, compact, 1)
    place = np.take_along_axis(place, compact, 1)
    most = max(1, int((radix > 0).sum(axis=1).max()))
    value, radix, place = value[:, :most], radix[:, :most], place[:, :most]
    new = characters.permute(np.where(radix > 0, value, 0), np.maximum(radix, 1), kind.encode(), inverse=inverse)
    _put(content, changed, starts, place, radix, new, hexadecimal=hexadecimal)


def _by_length(lengths: Offsets) -> Iterator[Offsets]:
    """Values of about the same length together, so that a long one costs the short ones nothing."""
    sizes = np.ceil(np.log2(np.maximum(lengths, 8))).astype(np.int64)
    for size in np.unique(sizes):
        yield np.flatnonzero(sizes == size)


def _classes(*alphabets: str) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """By byte the number of a character in the last of the alphabets that has it, and how many that one has."""
    numbers, counts = np.zeros(256, dtype=np.uint32), np.zeros(256, dtype=np.uint32)
    for alphabet in alphabets:
        for number, character in enumerate(alphabet):
            for spelled in (character, character.lower()):
                numbers[ord(spelled)], counts[ord(spelled)] = number, len(alphabet)
    return numbers, counts


_PLAIN = _classes(digits, ascii_uppercase)
_HEX = _classes(digits + "ABCDEF")
_CLASSES = {"MAC": _HEX, "IPV6": _HEX, "CN_PLATE": _classes(digits, ascii_uppercase, PLATE_LETTERS)}
_PLATE_OFFSETS = np.array([ord(letter) - 0x41 for letter in PLATE_LETTERS], dtype=np.uint32)
_LETTERS16 = np.frombuffer(b"0123456789ABCDEF", dtype=np.uint8)


_SCHEME_END = ord("/")


def _permuted_positions(kind: str, window: Bytes, inside: Flags) -> Flags:
    """Without what tells the form: the scheme of a URL, `www.`, the last label of a domain, the prefix of a key."""
    steps = np.arange(window.shape[1])
    if kind == "EMAIL":
        at = np.argmax(window == ord("@"), axis=1)
        dots = np.where((window == ord(".")) & inside & (steps > at[:, None]), steps, -1).max(axis=1)
        before: Flags = steps < dots[:, None]
        return before
    if kind == "URL":
        slashes = np.argmax((window[:, :-1] == _SCHEME_END) & (window[:, 1:] == _SCHEME_END), axis=1)
        bare = np.where((window[:, :4] == np.frombuffer(b"www.", dtype=np.uint8)).all(axis=1), 4, 0)
        return steps >= np.where(slashes > 0, slashes + 2, bare)[:, None]
    if kind == "API_KEY":
        prefixed = np.zeros(len(window), dtype=np.int64)
        for prefix in map(str.encode, KEY_PREFIXES):
            if len(prefix) < window.shape[1]:
                same = (window[:, : len(prefix)] == np.frombuffer(prefix, dtype=np.uint8)).all(axis=1)
                prefixed = np.where(same, len(prefix), prefixed)
        return steps >= prefixed[:, None]
    return np.ones(window.shape, dtype=np.bool_)


def _significant(
    window: Bytes, value: NDArray[np.uint32], radix: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The digits that an address has in each of its spellings: no group gains or loses leading zeros."""
    value, radix = value.copy(), radix.copy()
    begun = np.zeros(len(window), dtype=np.bool_)
    for column in range(window.shape[1]):
        zero, digit = value[:, column] == 0, radix[:, column] > 0
        leading = digit & ~begun
        radix[leading, column] = np.where(zero[leading], 0, _FIRST_DIGITS)
        value[leading, column] -= ~zero[leading]
        begun = digit & (begun | ~zero)
    return value, radix


_FIRST_DIGITS = 15
"""Hexadecimal digits that a number can begin with, 1 to f."""


_HAN_FIRST, _HAN_COUNT = 0x4E00, 0x9FA6 - 0x4E00


@cache
def _han() -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
    """For each character from U+4E00 its number within its class and the class's size; and the characters, classes
    one after the other.
    """
    common = np.zeros(_HAN_COUNT, dtype=np.bool_)
    common[[ord(character) - _HAN_FIRST for character in common_characters()]] = True
    characters = np.concatenate([np.flatnonzero(common), np.flatnonzero(~common)])
    numbers = np.empty(_HAN_COUNT, dtype=np.uint32)
    many = int(common.sum())
    numbers[characters] = np.concatenate([np.arange(many), np.arange(_HAN_COUNT - many)])
    sizes = np.where(common, many, _HAN_COUNT - many).astype(np.uint32)
    return numbers, sizes, (characters + _HAN_FIRST).astype(np.uint32)


def _with_han(
    window: Bytes, value: NDArray[np.uint32], radix: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """汉字 counted at their first byte."""
    numbers, sizes, _ = _han()
    wide = window.astype(np.uint32)
    second, third = np.roll(wide, -1, axis=1), np.roll(wide, -2, axis=1)
    point = ((wide & 0x0F) << 12) | ((second & 0x3F) << 6) | (third & 0x3F)
    han = (wide >= 0xE4) & (wide <= 0xE9) & (point >= _HAN_FIRST) & (point < _HAN_FIRST + _HAN_COUNT)
    han[:, -2:] = False
    at = np.where(han, point - _HAN_FIRST, 0)
    return np.where(han, numbers[at], value), np.where(han, sizes[at], radix)


def _put(
    content: Bytes,
    changed: Bytes,
    starts: Offsets,
    place: Offsets,
    radix: NDArray[np.uint32],
    new: NDArray[np.uint32],
    *,
    hexadecimal: bool,
) -> None:
    chosen = radix > 0
    at = (starts[:, None] + place)[chosen]
    number, size = new[chosen], radix[chosen]
    old = content[at]
    narrow = size <= 26
    if hexadecimal:
        # The case of a value's letters, where digits may become letters: that of its own first letter.
        lower = (((content[starts[:, None] + place] - np.uint8(0x61)) < 26) & chosen).any(axis=1)
        capital = (((content[starts[:, None] + place] - np.uint8(0x41)) < 26) & chosen).any(axis=1)
        small = np.broadcast_to((lower | ~capital)[:, None], chosen.shape)[chosen]
        letters = _LETTERS16[number + (size == _FIRST_DIGITS)]
        changed[at] = np.where(small & (letters >= 0x41), letters | np.uint8(0x20), letters)
        return
    number = np.where(size == len(PLATE_LETTERS), _PLATE_OFFSETS[np.minimum(number, 23)], number)
    base = np.where(old[narrow] < 0x40, 0x30, np.where(old[narrow] < 0x60, 0x41, 0x61))
    changed[at[narrow]] = (base + number[narrow]).astype(np.uint8)
    if narrow.all():
        return
    _, _, characters = _han()
    common = len(common_characters())
    point = characters[number[~narrow] + np.where(size[~narrow] == common, 0, common)]
    wide = at[~narrow]
    changed[wide] = 0xE0 | (point >> 12)
    changed[wide + 1] = 0x80 | ((point >> 6) & 0x3F)
    changed[wide + 2] = 0x80 | (point & 0x3F)
