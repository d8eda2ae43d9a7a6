"""Pseudonyms of texts: letters, digits and 汉字 by others of their own alphabet, whatever the text means."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_uppercase, digits

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid import spelled_mails
from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.pseudonyms import urls
from services.runtime.deid.pseudonyms.alphabets import UNKNOWN, alphabets
from services.runtime.deid.pseudonyms.characters import Characters
from services.runtime.deid.pseudonyms.plans import KEY_PREFIXES, PLATE_LETTERS
from services.runtime.deid.reaches import among_bytes

_LETTERS = frozenset({"EMAIL", "API_KEY", "WECHAT", "MAC", "IPV6", "CN_PLATE"})
"""Of ASCII; other types may have letters of any script."""


def write(
    characters: Characters,
    kind: str,
    content: Bytes,
    changed: Bytes,
    starts: Offsets,
    ends: Offsets,
    kept: Flags | None = None,
    *,
    inverse: bool,
) -> Flags:
    """Writes over `changed` what takes the place of the texts of one type that `content` has at these places.

    `kept`: by byte of the content what of it is not written over. Returns the texts that it leaves: without a letter or
    digit, or with a letter that may be one of no alphabet.
    """
    left = np.zeros(len(starts), dtype=np.bool_)
    for chosen in _by_length(ends - starts):
        left[chosen] = _write(characters, kind, content, changed, starts[chosen], ends[chosen], kept, inverse=inverse)
    return left


def _write(
    characters: Characters,
    kind: str,
    content: Bytes,
    changed: Bytes,
    starts: Offsets,
    ends: Offsets,
    kept: Flags | None,
    *,
    inverse: bool,
) -> Flags:
    width = int((ends - starts).max())
    steps = np.arange(width)
    inside = steps < (ends - starts)[:, None]
    places = np.minimum(starts[:, None] + steps, len(content) - 1)
    window = np.where(inside, content[places], 0).astype(np.uint8)
    done = np.zeros(window.shape, dtype=np.bool_) if kept is None else inside & kept[places]
    inside &= _permuted_positions(kind, window, inside) & ~done
    hexadecimal = kind in {"MAC", "IPV6"}
    values, radices = _CLASSES.get(kind, _PLAIN)
    radix = np.where(inside, radices[window], 0)
    value = values[window]
    if kind == "IPV6":
        value, radix = _significant(window, value, radix)
    if kind == "URL":
        radix = urls.escaped(window, value, radix)
    place = np.broadcast_to(steps, window.shape)
    alphabet = np.zeros(window.shape, dtype=np.uint8)
    if kind not in _LETTERS and (window >= 0x80).any():
        value, radix, alphabet = _with_letters(window, value, radix)
    left: Flags = (alphabet == UNKNOWN).any(axis=1) | ~((radix > 0) | done).any(axis=1)
    radix = np.where(left[:, None], 0, radix)
    compact = np.argsort(radix == 0, axis=1, kind="stable")
    value, radix = np.take_along_axis(value, compact, 1), np.take_along_axis(radix, compact, 1)
    place = np.take_along_axis(place, compact, 1)
    most = max(1, int((radix > 0).sum(axis=1).max()))
    value, radix, place = value[:, :most], radix[:, :most], place[:, :most]
    alphabet = np.take_along_axis(alphabet, compact[:, :most], 1)
    new = characters.replace(np.where(radix > 0, value, 0), np.maximum(radix, 1), kind.encode(), inverse=inverse)
    _put(content, changed, starts, place, radix, new, alphabet, hexadecimal=hexadecimal)
    return left


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


_SPELLED = among_bytes(" [({<（【%")


def _permuted_positions(kind: str, window: Bytes, inside: Flags) -> Flags:
    """Without what tells the form: that of a URL, the last label of a domain, the prefix of a key."""
    steps = np.arange(window.shape[1])
    if kind == "EMAIL":
        at = np.argmax(window == ord("@"), axis=1)
        dots = np.where((window == ord(".")) & inside & (steps > at[:, None]), steps, -1).max(axis=1)
        named: Flags = steps < dots[:, None]
        for row in np.flatnonzero(_SPELLED[window].any(axis=1)).tolist():
            address = window[row][inside[row]].tobytes()
            signs = spelled_mails.signs(address)
            named[row] = steps < spelled_mails.last_label(address) if signs else named[row]
            for start, end in signs:
                named[row, start:end] = False
        return named
    if kind == "URL":
        return urls.changeable(window, inside)
    if kind == "API_KEY":
        return steps >= _prefixed(window, inside)[:, None]
    return np.ones(window.shape, dtype=np.bool_)


_PREFIXES = [np.frombuffer(prefix.encode(), dtype=np.uint8) for prefix in KEY_PREFIXES]
_FIRST_TWO = {bytes(prefix[:2]) for prefix in _PREFIXES}


def _prefixed(window: Bytes, inside: Flags) -> Offsets:
    """How many characters of a key are its prefix; most values begin as none does."""
    prefixed = np.zeros(len(window), dtype=np.int64)
    if window.shape[1] < 2:
        return prefixed
    pairs = np.ascontiguousarray(window[:, :2]).view(">u2")[:, 0]
    begun = np.flatnonzero(np.isin(pairs, [int.from_bytes(pair) for pair in _FIRST_TWO]))
    for prefix in _PREFIXES if len(begun) else ():
        if len(prefix) < window.shape[1]:
            same = (window[begun, : len(prefix)] == prefix).all(axis=1) & inside[begun, len(prefix)]
            prefixed[begun[same]] = len(prefix)
    return prefixed


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


def _with_letters(
    window: Bytes, value: NDArray[np.uint32], radix: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint8]]:
    """Letters of more than one byte counted at their first; and of every place the alphabet, or what it is without."""
    known = alphabets()
    wide = window.astype(np.uint32)
    second, third, fourth = (np.roll(wide, -by, axis=1) & 0x3F for by in (1, 2, 3))
    two = ((wide & 0x1F) << 6) | second
    three = ((wide & 0x0F) << 12) | (second << 6) | third
    four = ((wide & 0x07) << 18) | (second << 12) | (third << 6) | fourth
    point = np.where(wide < 0xC0, 0, np.where(wide < 0xE0, two, np.where(wide < 0xF0, three, four)))
    alphabet = known.of[np.minimum(point, len(known.of) - 1)]
    letters = alphabet > UNKNOWN
    return np.where(letters, known.number[point], value), np.where(letters, known.sizes[alphabet], radix), alphabet


def _put(
    content: Bytes,
    changed: Bytes,
    starts: Offsets,
    place: Offsets,
    radix: NDArray[np.uint32],
    new: NDArray[np.uint32],
    alphabet: NDArray[np.uint8],
    *,
    hexadecimal: bool,
) -> None:
    chosen = radix > 0
    at = (starts[:, None] + place)[chosen]
    number, size = new[chosen], radix[chosen]
    old = content[at]
    narrow = old < 0x80
    if hexadecimal:
        # The case of a value's letters, where digits may become letters: that of its own first letter.
        lower = (((content[starts[:, None] + place] - np.uint8(0x61)) < 26) & chosen).any(axis=1)
        capital = (((content[starts[:, None] + place] - np.uint8(0x41)) < 26) & chosen).any(axis=1)
        small = np.broadcast_to((lower | ~capital)[:, None], chosen.shape)[chosen]
        letters = _LETTERS16[number + (size == _FIRST_DIGITS)]
        changed[at] = np.where(small & (letters >= 0x41), letters | np.uint8(0x20), letters)
        return
    plain = np.where(size[narrow] == len(PLATE_LETTERS), _PLATE_OFFSETS[np.minimum(number[narrow], 23)], number[narrow])
    base = np.where(old[narrow] < 0x40, 0x30, np.where(old[narrow] < 0x60, 0x41, 0x61))
    changed[at[narrow]] = (base + plain).astype(np.uint8)
    if narrow.all():
        return
    _put_letters(changed, at[~narrow], number[~narrow], alphabet[chosen][~narrow])


def _put_letters(changed: Bytes, at: Offsets, number: NDArray[np.uint32], alphabet: NDArray[np.uint8]) -> None:
    known = alphabets()
    point = known.letters[known.first[alphabet] + number]
    for least, most, lead in ((0x80, 0x800, 0xC0), (0x800, 0x10000, 0xE0), (0x10000, 0x110000, 0xF0)):
        chosen = (point >= least) & (point < most)
        some, places, more = point[chosen], at[chosen], {0xC0: 1, 0xE0: 2, 0xF0: 3}[lead]
        changed[places] = lead | (some >> (6 * more))
        for following in range(1, more + 1):
            changed[places + following] = 0x80 | ((some >> (6 * (more - following))) & 0x3F)
