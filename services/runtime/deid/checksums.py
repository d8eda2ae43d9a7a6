"""Check characters, vectorised: what the last character of each row should be, from those before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.uint8]
Checks = NDArray[np.int64]
Expected = Callable[[Rows], Checks]

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100-2015: digits and letters without I, O, S, V, Z."""

_DOUBLED = np.array([(2 * d) // 10 + (2 * d) % 10 for d in range(10)], dtype=np.uint8)
_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)
_ORGANISATION_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)
_USCC_WEIGHTS = np.array([pow(3, i, 31) for i in range(17)], dtype=np.int64)


def luhn(body: Rows) -> Checks:
    """ISO/IEC 7812: the check digit of N x n digits, 0 to 9."""
    total = np.zeros(len(body), dtype=np.int64)
    for place, digit in enumerate(body.T[::-1]):
        total += digit if place % 2 else _DOUBLED[digit]
    return -total % 10


def resident_id(body: Rows) -> Checks:
    """GB 11643-1999 (ISO 7064 MOD 11-2): of N x 17 digits, 0 to 10, where 10 is written X."""
    checks: Checks = (12 - body @ _ID_WEIGHTS % 11) % 11
    return checks


def uscc(body: Rows) -> Checks:
    """GB 32100-2015: of N x 17 indices into its alphabet, 0 to 30."""
    checks: Checks = -(body @ _USCC_WEIGHTS) % 31
    return checks


def organisation(body: Rows) -> Checks:
    """GB 11714-1997: of N x 8 indices into the alphabet of a USCC that are digits, 0 to 10, where 10 is written X."""
    checks: Checks = -(body @ _ORGANISATION_WEIGHTS) % 11
    return checks


def iban(characters: Rows) -> Checks:
    """ISO 13616: of N x n letters and digits the remainder by 97, 1 for valid IBANs."""
    remainder = np.zeros(len(characters), dtype=np.int64)
    for column in (*range(4, characters.shape[1]), *range(4)):
        value = _BASE36[characters[:, column]]
        remainder = (remainder * np.where(value > 9, 100, 10) + value) % 97
    return remainder


_BASE36 = np.zeros(256, dtype=np.int64)
for _value, _letter in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
    _BASE36[ord(_letter)] = _BASE36[ord(_letter.lower())] = _value
