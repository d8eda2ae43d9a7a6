"""Pseudonyms of every type, written over the values in a buffer: same length, separators, letter case and widths."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.checksums import USCC_ALPHABET, iban
from services.runtime.deid.keys import DerivedKeys
from services.runtime.deid.policies import Policy
from services.runtime.deid.pseudonyms.characters import Characters, common_characters
from services.runtime.deid.pseudonyms.numbers import Numbers
from services.runtime.deid.pseudonyms.plans import NEVER_PLATE_PROVINCES, PLATE_LETTERS, PLATE_PROVINCES, octets, plan
from services.runtime.deid.pseudonyms.typed import permuted
from services.runtime.deid.recognisers.ibans import COUNTRIES

_TEXTS = frozenset({"EMAIL", "URL", "API_KEY", "WECHAT", "MAC", "IPV6", "PERSON", "ADDRESS", "CN_PLATE", "IBAN"})
_LETTERED = frozenset({"CN_ID", "CN_USCC", "PASSPORT", "HK_MO_PERMIT"})
_LONGEST_NUMBER = 36


class Pseudonyms:
    """Of one policy under one key; each type has permutations of its own."""

    def __init__(self, policy: Policy, keys: DerivedKeys) -> None:
        self._policy = policy
        self._numbers = Numbers(keys)
        self._characters = Characters(keys)

    def write(
        self, kind: str, content: Bytes, changed: Bytes, starts: Offsets, ends: Offsets, *, inverse: bool = False
    ) -> None:
        """Writes over `changed` what takes the place of the values of one type that `content` has at these places."""
        if kind in _TEXTS or kind not in _KNOWN:
            for chosen in _by_length(ends - starts):
                self._texts(kind, content, changed, starts[chosen], ends[chosen], inverse=inverse)
            return
        owners, places = digit_places(content, starts, ends, letters=kind in _LETTERED)
        counts = np.bincount(owners, minlength=len(starts))
        for n in np.flatnonzero(np.bincount(counts)).tolist():
            positions = places[(counts == n)[owners]].reshape(-1, n)
            if kind == "IPV4":
                self._addresses(content, changed, positions, inverse=inverse)
            else:
                self._values(kind, content, changed, positions, inverse=inverse)

    def _values(self, kind: str, content: Bytes, changed: Bytes, positions: Offsets, *, inverse: bool) -> None:
        """N values of n letters and digits each, at `positions` (N x n)."""
        n = positions.shape[1]
        letters = content[positions]
        tweak = f"{kind}/{n}".encode()
        if kind == "CN_USCC":
            rows, pattern = _USCC_VALUES[letters], "9" * n
        elif kind == "CN_ID":
            rows, pattern = np.where(letters >= 0x40, 10, letters - np.uint8(48)).astype(np.uint8), "9" * n
        elif kind in _LETTERED:
            for pattern, chosen in _patterns(letters):
                rows = _BASE36[letters[chosen]]
                self._planned(kind, tweak, pattern, rows, letters[chosen], changed, positions[chosen], inverse=inverse)
            return
        elif kind == "CN_LANDLINE":
            rows = letters - np.uint8(48)
            big = rows[:, 1] <= 2
            for pattern, chosen in (("9" * (n - 1) + "B", big), ("9" * n, ~big)):
                if chosen.any():
                    some = rows[chosen], letters[chosen], changed, positions[chosen]
                    self._planned(kind, tweak, pattern, *some, inverse=inverse)
            return
        else:
            rows, pattern = letters - np.uint8(48), "9" * n
        self._planned(kind, tweak, pattern, rows, letters, changed, positions, inverse=inverse)

    def _planned(
        self,
        kind: str,
        tweak: bytes,
        pattern: str,
        rows: Bytes,
        letters: Bytes,
        changed: Bytes,
        positions: Offsets,
        *,
        inverse: bool,
    ) -> None:
        form = plan(kind, pattern)
        if form is None:
            if positions.shape[1] > _LONGEST_NUMBER:
                ten = np.full(rows.shape, 10, dtype=np.uint32)
                new = self._characters.permute(rows.astype(np.uint32), ten, tweak, inverse=inverse).astype(np.uint8)
            else:
                new = self._numbers.digits(rows, tweak, inverse=inverse)
            changed[positions] = new + np.uint8(48)
            return
        tweak = f"{kind}/{pattern}".encode()
        new, known = permuted(rows, form, self._numbers, tweak, self._policy.output_of(kind), inverse=inverse)
        written = _ALPHABET[new] if form.radix == 10 else _USCC_LETTERS[new] if form.radix == 31 else _LETTERS36[new]
        small: Flags = np.asarray((letters - np.uint8(ord("a"))) < 26)
        lower = np.any(small, axis=1)[:, None] & (written >= 0x41)
        written = np.where(lower, written | np.uint8(0x20), written)
        changed[positions[known]] = written[known]
        if not known.all() and not inverse:
            # No value of the plan: nothing is left as it was, all the same.
            digits = letters[~known] - np.uint8(48)
            radix = np.where(digits < 10, 10, 1).astype(np.uint32)
            other = self._characters.permute(
                np.where(digits < 10, digits, 0).astype(np.uint32), radix, tweak, inverse=False
            )
            changed[positions[~known]] = np.where(digits < 10, other.astype(np.uint8) + np.uint8(48), letters[~known])

    def _addresses(self, content: Bytes, changed: Bytes, positions: Offsets, *, inverse: bool) -> None:
        """IPv4: each of the four numbers keeps its length. A gap between positions is a dot."""
        gaps: Flags = np.asarray(np.diff(positions, axis=1) > 1)
        packed = gaps @ (1 << np.arange(gaps.shape[1], dtype=np.int64)) if gaps.shape[1] else np.zeros(len(gaps))
        for code in np.unique(packed):
            chosen = packed == code
            edges = [0, *(np.flatnonzero(gaps[chosen][0]) + 1).tolist(), positions.shape[1]]
            widths = tuple(end - start for start, end in pairwise(edges))
            if len(widths) != 4:
                continue
            rows = content[positions[chosen]] - np.uint8(48)
            tweak = f"IPV4/{widths}".encode()
            new, known = permuted(rows, octets(widths), self._numbers, tweak, "valid", inverse=inverse)
            changed[positions[chosen][known]] = new[known] + np.uint8(48)

    def _texts(
        self, kind: str, content: Bytes, changed: Bytes, starts: Offsets, ends: Offsets, *, inverse: bool
    ) -> None:
        """Texts of letters, digits and 汉字, each in its own class; everything else stays."""
        if kind == "IBAN":
            self._ibans(content, changed, starts, ends, inverse=inverse)
            return
        if kind == "CN_PLATE":
            self._provinces(content, changed, starts, inverse=inverse)
            starts = starts + 3
        width = int((ends - starts).max())
        steps = np.arange(width)
        inside = steps < (ends - starts)[:, None]
        window = np.where(inside, content[np.minimum(starts[:, None] + steps, len(content) - 1)], 0).astype(np.uint8)
        inside &= _permuted_positions(kind, window, inside)
        hexadecimal = kind in {"MAC", "IPV6"}
        values, radices = _TABLES.get(kind, (_VALUES, _RADICES))
        radix = np.where(inside, radices[window], 0)
        value = values[window]
        place = np.broadcast_to(steps, window.shape)
        if kind in {"PERSON", "ADDRESS"} or kind not in _KNOWN:
            value, radix = _with_han(window, value, radix)
        compact = np.argsort(radix == 0, axis=1, kind="stable")
        value, radix = np.take_along_axis(value, compact, 1), np.take_along_axis(radix, compact, 1)
        place = np.take_along_axis(place, compact, 1)
        most = max(1, int((radix > 0).sum(axis=1).max()))
        value, radix, place = value[:, :most], radix[:, :most], place[:, :most]
        new = self._characters.permute(
            np.where(radix > 0, value, 0), np.maximum(radix, 1), kind.encode(), inverse=inverse
        )
        _put(content, changed, starts, place, radix, new, hexadecimal=hexadecimal)

    def _provinces(self, content: Bytes, changed: Bytes, starts: Offsets, *, inverse: bool) -> None:
        if self._policy.output_of("CN_PLATE") == "valid":
            return
        before, after = np.frombuffer((PLATE_PROVINCES + NEVER_PLATE_PROVINCES).encode(), dtype=np.uint8).reshape(
            2, -1, 3
        )[:: -1 if inverse else 1]
        places = starts[:, None] + np.arange(3)
        old = content[places]
        number = np.full(len(starts), -1)
        for index, province in enumerate(before):
            number[(old == province).all(axis=1)] = index
        changed[places[number >= 0]] = after[number[number >= 0]]

    def _ibans(self, content: Bytes, changed: Bytes, starts: Offsets, ends: Offsets, *, inverse: bool) -> None:
        """Country by country of the plan, account by class, and the check digits as right or wrong as they were."""
        self._texts("IBAN_ACCOUNT", content, changed, starts + 4, ends, inverse=inverse)
        output = self._policy.output_of("IBAN")
        shift = 0 if output != "invalid" else (-1 if inverse else 1)
        owners, places = digit_places(content, starts, ends, letters=True)
        counts = np.bincount(owners, minlength=len(starts))
        for n in np.flatnonzero(np.bincount(counts)).tolist():
            positions = places[(counts == n)[owners]].reshape(-1, n)
            old, new = _capitals(content[positions]), _capitals(changed[positions])
            new[:, :2] = old[:, :2] if output == "valid" else _other_countries(old[:, :2], inverse=inverse)
            given = (old[:, 2] - np.uint8(48)) * np.int64(10) + (old[:, 3] - np.uint8(48))
            check = (given - _iban_check(old) + _iban_check(new) - 2 + shift) % 97 + 2
            new[:, 2], new[:, 3] = check // 10 + 48, check % 10 + 48
            small = (content[positions[:, :2]] >= 0x61).all(axis=1)
            new[small, :2] |= np.uint8(0x20)
            changed[positions[:, :4]] = new[:, :4]


def _capitals(characters: Bytes) -> Bytes:
    small: Bytes = np.where((characters - np.uint8(0x61)) < 26, characters & np.uint8(0xDF), characters)
    return small


def _other_countries(names: Bytes, *, inverse: bool) -> Bytes:
    others = names.copy()
    for never, given in COUNTRIES.items():
        before, after = (never, given) if inverse else (given, never)
        others[(names == np.frombuffer(before.encode(), dtype=np.uint8)).all(axis=1)] = np.frombuffer(
            after.encode(), dtype=np.uint8
        )
    return others


def _iban_check(rows: Bytes) -> Offsets:
    """The right check digits of N x n characters, from 2 to 98."""
    without = rows.copy()
    without[:, 2:4] = ord("0")
    return 98 - iban(without)


_KNOWN = frozenset(
    {
        "CN_ID", "CN_USCC", "BANK_CARD", "CREDIT_CARD", "IMEI", "CN_PHONE", "CN_LANDLINE", "US_PHONE", "US_SSN",
        "HK_MO_PERMIT", "TW_PERMIT", "PASSPORT", "IPV4", "QQ", "NUMBER", "DATE", *_TEXTS,
    }
)  # fmt: skip
_ALPHABET = np.frombuffer(b"0123456789X", dtype=np.uint8)
_LETTERS36 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
_USCC_LETTERS = np.frombuffer(USCC_ALPHABET.encode(), dtype=np.uint8)


def _inverted(alphabet: Bytes) -> Bytes:
    table = np.zeros(256, dtype=np.uint8)
    table[alphabet] = np.arange(len(alphabet), dtype=np.uint8)
    lower = np.where((alphabet - np.uint8(0x41)) < 26, alphabet | np.uint8(0x20), alphabet)
    table[lower] = np.arange(len(alphabet), dtype=np.uint8)
    return table


_BASE36, _USCC_VALUES = _inverted(_LETTERS36), _inverted(_USCC_LETTERS)
_VALUES = np.zeros(256, dtype=np.uint32)
_RADICES = np.zeros(256, dtype=np.uint32)
for _first, _count in ((0x30, 10), (0x41, 26), (0x61, 26)):
    _VALUES[_first : _first + _count] = np.arange(_count)
    _RADICES[_first : _first + _count] = _count
_HEX_VALUES = _inverted(_LETTERS36[:16]).astype(np.uint32)
_HEX_RADICES = np.where((_HEX_VALUES > 0) | (np.arange(256) == 0x30), 16, 0).astype(np.uint32)
_PLATE_VALUES, _PLATE_RADICES = _VALUES.copy(), _RADICES.copy()
for _number, _letter in enumerate(PLATE_LETTERS):
    for _spelled in (ord(_letter), ord(_letter.lower())):
        _PLATE_VALUES[_spelled], _PLATE_RADICES[_spelled] = _number, len(PLATE_LETTERS)
_PLATE_OFFSETS = np.array([ord(letter) - 0x41 for letter in PLATE_LETTERS], dtype=np.uint32)
_TABLES = {
    "MAC": (_HEX_VALUES, _HEX_RADICES),
    "IPV6": (_HEX_VALUES, _HEX_RADICES),
    "CN_PLATE": (_PLATE_VALUES, _PLATE_RADICES),
}


def digit_places(content: Bytes, starts: Offsets, ends: Offsets, *, letters: bool = False) -> tuple[Offsets, Offsets]:
    """Of all digits (and letters) of the values the number of the value and the offset."""
    lengths = ends - starts
    owners = np.repeat(np.arange(len(starts)), lengths)
    places = np.arange(len(owners)) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    found = content[places]
    wanted = (found - np.uint8(0x30)) < 10
    if letters:
        wanted |= ((found | np.uint8(0x20)) - np.uint8(0x61)) < 26
    return owners[wanted], places[wanted]


def _patterns(letters: Bytes) -> Iterator[tuple[str, Flags]]:
    """The patterns of letters (A) and digits (9) that rows of characters have, and which rows have each."""
    kinds = (letters >= 0x40).astype(np.int64)
    packed = kinds @ (1 << np.arange(letters.shape[1], dtype=np.int64))
    for code in np.unique(packed):
        chosen = packed == code
        yield "".join("A" if kind else "9" for kind in kinds[np.argmax(chosen)]), chosen


def _by_length(lengths: Offsets) -> Iterator[Offsets]:
    """Values of about the same length together, so that a long one costs the short ones nothing."""
    sizes = np.ceil(np.log2(np.maximum(lengths, 8))).astype(np.int64)
    for size in np.unique(sizes):
        yield np.flatnonzero(sizes == size)


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
        return steps >= np.where(slashes > 0, slashes + 2, 0)[:, None]
    if kind == "API_KEY":
        prefixed = np.zeros(len(window), dtype=np.int64)
        for prefix in (b"sk-", b"AKIA", b"ASIA", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"glpat-", b"xoxb-",
                       b"xoxp-", b"AIza", b"LTAI", b"AKID", b"hf_", b"eyJ"):  # fmt: skip
            if len(prefix) < window.shape[1]:
                same = (window[:, : len(prefix)] == np.frombuffer(prefix, dtype=np.uint8)).all(axis=1)
                prefixed = np.where(same, len(prefix), prefixed)
        return steps >= prefixed[:, None]
    return np.ones(window.shape, dtype=np.bool_)


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
        letters = _LETTERS36[number]
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
