"""Permutations of digit strings and of whole numbers, in batches: FF1 from 10^6 values on, a keyed cycle below."""

from __future__ import annotations

import hashlib
import threading
from itertools import pairwise
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from services.runtime.deid.keys import DerivedKeys
from services.runtime.deid.pseudonyms.ff1 import SMALLEST_DOMAIN, Ff1, Shape, Words

Digits = NDArray[np.uint8]

Table = NDArray[np.uint32]

_LARGEST_TABLE = 1 << 17
"""Values of a permutation that is made in whole before the first is looked up, in milliseconds."""
_LONGEST = 36
"""Digits of one FF1 string: both halves of it fit 64 bits."""


class Numbers:
    """Every permutation here is of one key, and another one for every tweak."""

    def __init__(self, keys: DerivedKeys) -> None:
        self._ff1 = Ff1(keys.key("ff1"))
        self._key = keys.key("permutation")
        self._cycles: dict[tuple[bytes, int], tuple[Table, Table]] = {}
        self._lock = threading.Lock()

    def digits(self, rows: Digits, tweak: bytes, *, inverse: bool = False) -> Digits:
        """N strings of n digits (N x n, each 0 to 9) as N others; leading zeros count.

        Below six digits no string is its own pseudonym. Beyond 36 they are taken in pieces of at most 36, each under
        a tweak of its own.
        """
        n = rows.shape[1]
        if n <= _LONGEST:
            return self._digits(rows, tweak, inverse=inverse)
        count = -(-n // _LONGEST)
        edges = [n * i // count for i in range(count + 1)]
        pieces = [
            self._digits(rows[:, start:end], b"%s/%d/%d" % (tweak, n, start), inverse=inverse)
            for start, end in pairwise(edges)
        ]
        return np.concatenate(pieces, axis=1)

    def _digits(self, rows: Digits, tweak: bytes, *, inverse: bool) -> Digits:
        n = rows.shape[1]
        if 10**n < SMALLEST_DOMAIN:
            return _written(self._cycle(_read(rows), 10**n, tweak, inverse=inverse), n)
        shape = Shape(10, n, tweak)
        left, right = self._ff1.permute(_read(rows[:, : shape.u]), _read(rows[:, shape.u :]), shape, inverse=inverse)
        return np.concatenate([_written(left, shape.u), _written(right, shape.v)], axis=1)

    def below(self, values: NDArray[Any], size: int, tweak: bytes, *, inverse: bool = False) -> NDArray[Any]:
        """N whole numbers from 0 to size - 1, a permutation of all of those; `size` up to 2^128.

        FF1 of radix 2 on the next power of two, at least 2^20, walking its cycle until the number is below `size`: on
        average fewer than two steps, up to eight for the smallest. Arrays of `object` where 64 bits do not hold `size`,
        else of uint64.
        """
        if size < _LARGEST_TABLE:
            return self._cycle(values.astype(np.uint64), size, tweak, inverse=inverse)
        shape = Shape(2, max(20, (size - 1).bit_length()), tweak)
        kind: Any = np.uint64 if size <= 1 << 63 else object
        moved = values.astype(kind)
        walking = np.arange(len(moved))
        while len(walking):
            moved[walking] = self._once(moved[walking], shape, kind, inverse=inverse)
            walking = walking[(moved[walking] >= size).astype(bool)]
        return moved

    def _once(self, values: NDArray[Any], shape: Shape, kind: Any, *, inverse: bool) -> NDArray[Any]:
        width = kind(shape.v) if kind is np.uint64 else shape.v
        left = (values >> width).astype(np.uint64)
        right = (values & kind((1 << shape.v) - 1) if kind is np.uint64 else values % (1 << shape.v)).astype(np.uint64)
        left, right = self._ff1.permute(left, right, shape, inverse=inverse)
        joined: NDArray[Any] = (left.astype(kind) << width) + right.astype(kind)
        return joined

    def _cycle(self, values: Words, size: int, tweak: bytes, *, inverse: bool) -> Words:
        """One cycle through all values in a keyed order, so that none is its own pseudonym."""
        with self._lock:
            if (tweak, size) not in self._cycles:
                self._cycles[tweak, size] = self._ordered(size, tweak)
            forth, back = self._cycles[tweak, size]
        return (back if inverse else forth)[values].astype(np.uint64)

    def _ordered(self, size: int, tweak: bytes) -> tuple[Table, Table]:
        stream = Cipher(AES(_under(self._key, tweak, size)), CTR(bytes(16))).encryptor().update(bytes(8 * size))
        keys = np.frombuffer(stream, dtype="<u8")
        order = np.argsort(keys)
        if (keys[order[1:]] == keys[order[:-1]]).any():  # else every way of sorting gives the same
            order = np.argsort(keys, kind="stable")
        order = order.astype(np.uint32)
        forth, back = np.empty(size, dtype=np.uint32), np.empty(size, dtype=np.uint32)
        following = np.roll(order, -1)
        forth[order], back[following] = following, order
        return forth, back


def _under(key: bytes, tweak: bytes, size: int) -> bytes:
    return hashlib.blake2b(b"%d/" % size + tweak, key=key, digest_size=32).digest()


def _read(rows: Digits) -> Words:
    """N x n digits, n up to 19, as N numbers."""
    values = np.zeros(len(rows), dtype=np.uint64)
    for column in range(rows.shape[1]):
        values = values * np.uint64(10) + rows[:, column]
    return values


def _written(values: Words, n: int) -> Digits:
    rows = np.empty((len(values), n), dtype=np.uint8)
    for last in range(n, 0, -4):
        first = max(0, last - 4)
        rest = values // np.uint64(10_000)
        rows[:, first:last] = FOUR_DIGITS[values - rest * np.uint64(10_000), 4 - (last - first) :]
        values = rest
    return rows


FOUR_DIGITS: Digits = (np.arange(10_000)[:, None] // np.array([1000, 100, 10, 1]) % 10).astype(np.uint8)
"""Of each number below 10,000."""
