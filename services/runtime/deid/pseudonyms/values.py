"""Pseudonyms of every type, written over the values in a buffer: same length, separators, letter case and widths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.checksums import USCC_ALPHABET
from services.runtime.deid.keys import DerivedKeys
from services.runtime.deid.policies import Policy
from services.runtime.deid.pseudonyms import hosts, ibans, texts
from services.runtime.deid.pseudonyms.characters import Characters
from services.runtime.deid.pseudonyms.layouts import Layout, layouts
from services.runtime.deid.pseudonyms.numbers import Numbers
from services.runtime.deid.pseudonyms.plans import (
    FOREIGN_PASSPORT_LETTERS,
    NEVER_PLATE_PROVINCES,
    NEVER_UNION_PAY,
    PLATE_PROVINCES,
    SSN_PARTS,
    UNION_PAY,
    octets,
    phone_lead,
    plan,
    ssn_part_unissued,
)
from services.runtime.deid.pseudonyms.typed import permuted
from services.runtime.deid.reaches import among_bytes, put, windows
from services.runtime.deid.trunks import after_country_code

_LETTERED = frozenset({"CN_ID", "CN_USCC", "PASSPORT", "HK_MO_PERMIT"})
_NUMBERED = _LETTERED | {
    "BANK_CARD", "CREDIT_CARD", "IMEI", "CN_PHONE", "CN_LANDLINE", "US_PHONE", "PHONE", "US_SSN", "TW_PERMIT", "IPV4",
    "QQ", "NUMBER",
}  # fmt: skip
_LONGEST_NUMBER = 36
_SSN_DIGITS = sum(width for width, _ in SSN_PARTS)


class Pseudonyms:
    """Of one policy under one key; each type has permutations of its own."""

    def __init__(self, policy: Policy, keys: DerivedKeys) -> None:
        self._policy = policy
        self._numbers = Numbers(keys)
        self._characters = Characters(keys)

    def write(
        self, kind: str, content: Bytes, changed: Bytes, starts: Offsets, ends: Offsets, *, inverse: bool = False
    ) -> Flags:
        """Writes over `changed` what takes the place of the values of one type that `content` has at these places.

        Returns those that it leaves as they are, as it has no alphabet for them.
        """
        left = np.zeros(len(starts), dtype=np.bool_)
        if kind == "IBAN":
            output = self._policy.output_of(kind)
            ibans.write(self._characters, content, changed, starts, ends, output, inverse=inverse)
            return left
        if kind == "CN_PLATE":
            self._provinces(content, changed, starts, inverse=inverse)
            starts = starts + 3 * (content[starts] >= 0x80)  # those of the army may have letters alone
        if kind == "CN_LANDLINE" and (abroad := after_country_code(content, starts)).any():
            self._without_trunk(content, changed, starts[abroad], ends[abroad], inverse=inverse)
            starts, ends = starts[~abroad], ends[~abroad]
        if kind not in _NUMBERED:
            kept = None
            if kind == "URL":
                kept = self._hosts(content, changed, starts, ends, inverse=inverse)
            return texts.write(self._characters, kind, content, changed, starts, ends, kept, inverse=inverse)
        alike = defaultdict[int, list[Layout]](list)
        for layout in layouts(content, starts, ends, letters=kind in _LETTERED):
            if kind == "IPV4":
                layout.write(changed, self._addresses(layout, inverse=inverse))
            else:
                alike[len(layout.columns)].append(layout)
        for some in alike.values():
            new = self._values(kind, np.concatenate([layout.rows for layout in some]), inverse=inverse)
            edges = np.cumsum([len(layout.starts) for layout in some])
            for layout, rows in zip(some, np.split(new, edges[:-1]), strict=True):
                layout.write(changed, rows)
        return left

    def _hosts(self, content: Bytes, changed: Bytes, starts: Offsets, ends: Offsets, *, inverse: bool) -> Flags | None:
        """Addresses in URLs are those of the text. Returns by byte what is done with, which ports are, too."""
        first, last, after = hosts.addresses(content, starts, ends)
        first_long, last_long, after_long = hosts.long_addresses(content, starts, ends)
        if not len(first) and not len(first_long):
            return None
        for layout in layouts(content, first, last):
            layout.write(changed, self._addresses(layout, inverse=inverse))
        if (own := first_long < last_long).any():
            texts.write(self._characters, "IPV6", content, changed, first_long[own], last_long[own], inverse=inverse)
        edges = np.zeros(len(content) + 1, dtype=np.int8)
        for begins, closes in ((first, after), (first_long, after_long)):
            edges[begins] += 1
            edges[closes] -= 1
        return np.cumsum(edges[:-1], dtype=np.int8) > 0

    def _without_trunk(self, content: Bytes, changed: Bytes, starts: Offsets, ends: Offsets, *, inverse: bool) -> None:
        """Landlines as if they had the digit before the area that they have at home."""
        trunk = ord("9" if inverse and self._policy.output_of("CN_LANDLINE") != "valid" else "0")
        for layout in layouts(content, starts, ends):
            rows = np.insert(layout.rows, 0, trunk, axis=1)
            layout.write(changed, self._values("CN_LANDLINE", rows, inverse=inverse)[:, 1:])

    def _values(self, kind: str, letters: Bytes, *, inverse: bool) -> Bytes:
        """Of N values of n letters and digits each."""
        values = _USCC_VALUES[letters] if kind == "CN_USCC" else _BASE36[letters]
        if kind == "CN_ID":
            values = np.minimum(values, 10)  # the X
        new = letters.copy()
        for pattern, chosen in _patterns(kind, letters):
            new[chosen] = self._planned(kind, pattern, values[chosen], letters[chosen], inverse=inverse)
        return new

    def _planned(self, kind: str, pattern: str, rows: Bytes, letters: Bytes, *, inverse: bool) -> Bytes:
        """`rows`: the values of the letters in the radix of the pattern's plan."""
        form = plan(kind, pattern)
        if form is None:
            tweak = f"{kind}/{len(pattern)}".encode()
            permuted_digits = self._number if kind == "NUMBER" else self._digits
            return permuted_digits(rows, tweak, inverse=inverse) + np.uint8(48)
        tweak = f"{kind}/{pattern}".encode()
        new, known = permuted(rows, form, self._numbers, tweak, self._policy.output_of(kind), inverse=inverse)
        written = _ALPHABET[new] if form.radix == 10 else _USCC_LETTERS[new] if form.radix == 31 else _LETTERS36[new]
        small: Flags = np.asarray((letters - np.uint8(ord("a"))) < 26)
        lower = np.any(small, axis=1)[:, None] & (written >= 0x41)
        written = np.where(lower, written | np.uint8(0x20), written)
        if not known.all():
            written[~known] = letters[~known] if inverse else self._unknown(letters[~known], tweak)
        return written

    def _number(self, rows: Bytes, tweak: bytes, *, inverse: bool) -> Bytes:
        """What begins with 0 goes on to, and nothing else begins to: a number of JSON stays one, the same as in text.

        The latter are permuted on until they do not, which is a permutation of what begins with no 0.
        """
        if rows.shape[1] == 1:
            return self._digits(rows, tweak, inverse=inverse)
        new = rows.copy()
        zero = rows[:, 0] == 0
        if zero.any():
            new[zero, 1:] = self._digits(rows[zero, 1:], tweak + b"/0", inverse=inverse)
        left = np.flatnonzero(~zero)
        while len(left):
            new[left] = self._digits(new[left], tweak, inverse=inverse)
            left = left[new[left, 0] == 0]
        return new

    def _digits(self, rows: Bytes, tweak: bytes, *, inverse: bool) -> Bytes:
        if rows.shape[1] <= _LONGEST_NUMBER:
            return self._numbers.digits(rows, tweak, inverse=inverse)
        ten = np.full(rows.shape, 10, dtype=np.uint32)
        return self._characters.permute(rows.astype(np.uint32), ten, tweak, inverse=inverse).astype(np.uint8)

    def _unknown(self, letters: Bytes, tweak: bytes) -> Bytes:
        """No values of the plan: nothing is left as it was, all the same."""
        digits = letters - np.uint8(48)
        radix = np.where(digits < 10, 10, 1).astype(np.uint32)
        other = self._characters.permute(np.where(digits < 10, digits, 0).astype(np.uint32), radix, tweak)
        return np.where(digits < 10, other.astype(np.uint8) + np.uint8(48), letters)

    def _addresses(self, layout: Layout, *, inverse: bool) -> Bytes:
        """IPv4: each of the four numbers keeps its length, and the zeros before it. A gap between columns is a dot."""
        rows, new = layout.rows, layout.rows.copy()
        edges = np.flatnonzero(np.diff(layout.columns) > 1) + 1
        own = np.concatenate([_significant(part) for part in np.split(rows, edges, axis=1)], axis=1)
        packed = own @ (1 << np.arange(own.shape[1], dtype=np.int64))
        for code in np.unique(packed):
            chosen = np.flatnonzero(packed == code)
            columns = np.flatnonzero(own[chosen[0]])
            widths = tuple(int(part.sum()) for part in np.split(own[chosen[0]], edges))
            digits = rows[np.ix_(chosen, columns)] - np.uint8(48)
            tweak = f"IPV4/{widths}".encode()
            other, known = permuted(digits, octets(widths), self._numbers, tweak, "valid", inverse=inverse)
            new[np.ix_(chosen, columns)] = np.where(known[:, None], other, digits) + np.uint8(48)
        return new

    def _provinces(self, content: Bytes, changed: Bytes, starts: Offsets, *, inverse: bool) -> None:
        if self._policy.output_of("CN_PLATE") == "valid":
            return
        before, after = np.frombuffer((PLATE_PROVINCES + NEVER_PLATE_PROVINCES).encode(), dtype=np.uint8).reshape(
            2, -1, 3
        )[:: -1 if inverse else 1]
        provinces = windows(content, starts, 3)
        others = provinces.copy()
        for old, new in zip(before, after, strict=True):
            others[(provinces == old).all(axis=1)] = new
        put(changed, starts, others)


def _significant(digits: Bytes) -> Flags:
    """Of N numbers of n digits those that are no zeros before it."""
    begun = np.logical_or.accumulate(digits != ord("0"), axis=1)
    begun[:, -1] = True
    return begun


def _inverted(alphabet: Bytes) -> Bytes:
    table = np.zeros(256, dtype=np.uint8)
    table[alphabet] = np.arange(len(alphabet), dtype=np.uint8)
    lower = np.where((alphabet - np.uint8(0x41)) < 26, alphabet | np.uint8(0x20), alphabet)
    table[lower] = np.arange(len(alphabet), dtype=np.uint8)
    return table


_ALPHABET = np.frombuffer(b"0123456789X", dtype=np.uint8)
_LETTERS36 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
_USCC_LETTERS = np.frombuffer(USCC_ALPHABET.encode(), dtype=np.uint8)
_BASE36, _USCC_VALUES = _inverted(_LETTERS36), _inverted(_USCC_LETTERS)

_FOREIGN = among_bytes(FOREIGN_PASSPORT_LETTERS + FOREIGN_PASSPORT_LETTERS.lower())


def _patterns(kind: str, letters: Bytes) -> Iterator[tuple[str, Flags]]:
    """The patterns of plans that rows of characters have, and which rows have each."""
    n = letters.shape[1]
    if kind in {"PASSPORT", "HK_MO_PERMIT"}:
        kinds = (letters >= 0x40).astype(np.int64)
        packed = kinds @ (1 << np.arange(n, dtype=np.int64))
        foreign = _FOREIGN[letters[:, 0]] if kind == "PASSPORT" else np.zeros(len(letters), dtype=np.bool_)
        for code in np.unique(packed):
            pattern = "".join("A" if kind else "9" for kind in kinds[np.argmax(packed == code)])
            for first, some in ((pattern[0], ~foreign), ("F", foreign)):
                if (chosen := (packed == code) & some).any():
                    yield first + pattern[1:], chosen
    elif kind == "PHONE" and n == 10:
        leads = phone_lead((letters[:, :4] - np.uint8(48)) @ np.array([1000, 100, 10, 1]))
        for lead in np.unique(leads):
            yield f"{lead}".ljust(n, "9"), leads == lead
    elif kind in {"CN_LANDLINE", "BANK_CARD", "CREDIT_CARD"}:
        if kind == "CN_LANDLINE":
            special, other = "9" * (n - 1) + "B", letters[:, 1] > ord("2")
        else:
            lead = (letters[:, 0] - np.uint8(48)) * np.uint8(10) + (letters[:, 1] - np.uint8(48))
            special, other = "U" + "9" * (n - 1), ~np.isin(lead, (*UNION_PAY, *NEVER_UNION_PAY))
        for pattern, chosen in ((special, ~other), ("9" * n, other)):
            if chosen.any():
                yield pattern, chosen
    elif kind == "US_SSN" and n == _SSN_DIGITS:
        unissued, at = ssn_part_unissued(letters - np.uint8(48)), 0
        for part, (width, _) in enumerate((*SSN_PARTS, (0, ()))):
            if (chosen := unissued == part).any():
                yield ("9" * at + "U" * width).ljust(n, "9"), chosen
            at += width
    else:
        yield "9" * n, np.ones(len(letters), dtype=np.bool_)
