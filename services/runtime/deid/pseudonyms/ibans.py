"""Pseudonyms of IBANs."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Bytes, Offsets
from services.runtime.deid.checksums import iban
from services.runtime.deid.pseudonyms import texts
from services.runtime.deid.pseudonyms.characters import Characters
from services.runtime.deid.reaches import is_alphanumeric
from services.runtime.deid.recognisers.ibans import COUNTRIES
from services.runtime.deid.rules import Output


def write(
    characters: Characters,
    content: Bytes,
    changed: Bytes,
    starts: Offsets,
    ends: Offsets,
    output: Output,
    *,
    inverse: bool,
) -> None:
    """Country by country of the plan, account by class, and the check digits as right or wrong as they were."""
    texts.write(characters, "IBAN_ACCOUNT", content, changed, starts + 4, ends, inverse=inverse)
    shift = 0 if output != "invalid" else (-1 if inverse else 1)
    owners, places = _places(content, starts, ends)
    counts = np.bincount(owners, minlength=len(starts))
    for n in np.flatnonzero(np.bincount(counts)).tolist():
        positions = places[(counts == n)[owners]].reshape(-1, n)
        old, new = _capitals(content[positions]), _capitals(changed[positions])
        new[:, :2] = old[:, :2] if output == "valid" else _other_countries(old[:, :2], inverse=inverse)
        given = (old[:, 2] - np.uint8(48)) * np.int64(10) + (old[:, 3] - np.uint8(48))
        check = (given - _iban_check(old) + _iban_check(new) - 2 + shift) % 97 + 2
        check = np.where((given > 1) & (given < 99), check, given)  # which is never right
        new[:, 2], new[:, 3] = check // 10 + 48, check % 10 + 48
        small = (content[positions[:, :2]] >= 0x61).all(axis=1)
        new[small, :2] |= np.uint8(0x20)
        changed[positions[:, :4]] = new[:, :4]


def _capitals(characters: Bytes) -> Bytes:
    small: Bytes = np.where((characters - np.uint8(0x61)) < 26, characters & np.uint8(0xDF), characters)
    return small


def _other_countries(names: Bytes, *, inverse: bool) -> Bytes:
    """Of N x 2 capitals."""
    others: Bytes = _countries(inverse=inverse)[np.ascontiguousarray(names).view(np.uint16)].view(np.uint8)
    return others


@cache
def _countries(*, inverse: bool) -> NDArray[np.uint16]:
    """By the two letters as one number."""
    never, given = (np.frombuffer("".join(one).encode(), np.uint16) for one in (COUNTRIES, COUNTRIES.values()))
    others = np.arange(1 << 16, dtype=np.uint16)
    others[never if inverse else given] = given if inverse else never
    return others


def _iban_check(rows: Bytes) -> Offsets:
    """The right check digits of N x n characters, from 2 to 98."""
    without = rows.copy()
    without[:, 2:4] = ord("0")
    return 98 - iban(without)


def _places(content: Bytes, starts: Offsets, ends: Offsets) -> tuple[Offsets, Offsets]:
    """Of all letters and digits of the values the number of the value and the offset."""
    lengths = ends - starts
    owners = np.repeat(np.arange(len(starts)), lengths)
    places = np.arange(len(owners)) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    counted = is_alphanumeric(content[places])
    return owners[counted], places[counted]
