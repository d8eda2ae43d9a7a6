"""FF1 of NIST SP 800-38G (2016), for one numeral string at a time and for whole batches of equal shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numpy.typing import NDArray

Words = NDArray[np.uint64]

ROUNDS = 10
SMALLEST_DOMAIN = 10**6
"""SP 800-38G Revision 1 asks for at least this many values; below, nothing keeps them secret."""


class Ff1:
    """FF1 under one AES key of 16, 24 or 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(AES(key), ECB())  # noqa: S305 - the block cipher itself, which FF1 chains

    def encrypt(self, numerals: Sequence[int], radix: int, tweak: bytes = b"") -> list[int]:
        """As many numerals, each from 0 to radix - 1; ValueError where radix^length is below 10^6."""
        return self._apply(numerals, radix, tweak, inverse=False)

    def decrypt(self, numerals: Sequence[int], radix: int, tweak: bytes = b"") -> list[int]:
        return self._apply(numerals, radix, tweak, inverse=True)

    def _apply(self, numerals: Sequence[int], radix: int, tweak: bytes, *, inverse: bool) -> list[int]:
        shape = Shape(radix, len(numerals), tweak)
        encrypt = self._cipher.encryptor().update
        state, tail = shape.prepared(encrypt)
        left, right = _value(numerals[: shape.u], radix), _value(numerals[shape.u :], radix)
        for step in range(ROUNDS):
            i = ROUNDS - 1 - step if inverse else step
            modulus = radix ** (shape.u if i % 2 == 0 else shape.v)
            fed = left if inverse else right
            number = i << 8 * shape.b | fed
            mixed, blocks = state, (int.from_bytes(tail) << 8 * (shape.b + 1)) | number
            for block in _blocks(blocks, len(tail) + shape.b + 1):
                mixed = encrypt(_xor(mixed, block))
            y = int.from_bytes(_stretched(mixed, shape.d, encrypt))
            if inverse:
                left, right = (right - y) % modulus, left
            else:
                left, right = right, (left + y) % modulus
        return _numerals(left, radix, shape.u) + _numerals(right, radix, shape.v)

    def permute(self, left: Words, right: Words, shape: Shape, *, inverse: bool = False) -> tuple[Words, Words]:
        """The same for a batch: the values of both halves of N strings of one shape, each N; new arrays.

        The halves of a string of n numerals have n // 2 and n - n // 2 of them, and each value has to fit 64 bits.
        """
        if shape.b > 8 or shape.radix**shape.v > 1 << 64:
            raise ValueError("the halves of a batch fit 64 bits each")
        encrypt = self._cipher.encryptor().update
        state, tail = shape.prepared(encrypt)
        # Of the last block only the round and NUM(B) change: its last b + 1 of 16 bytes.
        constant = int.from_bytes(state) ^ int.from_bytes(tail) << 8 * (shape.b + 1)
        high, low = np.uint64(constant >> 64), np.uint64(constant & (1 << 64) - 1)
        block = np.empty((len(left), 2), dtype=">u8")
        for step in range(ROUNDS):
            i = ROUNDS - 1 - step if inverse else step
            modulus = shape.radix ** (shape.u if i % 2 == 0 else shape.v)
            number = i << 8 * shape.b
            block[:, 0] = high ^ np.uint64(number >> 64)
            block[:, 1] = (left if inverse else right) ^ (low ^ np.uint64(number & (1 << 64) - 1))
            mixed = np.frombuffer(encrypt(block.tobytes()), dtype=">u8").reshape(-1, 2)
            if inverse:
                left, right = _shifted(right, mixed, shape.d, modulus, subtract=True), left
            else:
                left, right = right, _shifted(left, mixed, shape.d, modulus, subtract=False)
        return left, right


class Shape:
    """What the strings of a batch share: radix, length n, tweak; u, v, b, d are those of the standard."""

    def __init__(self, radix: int, n: int, tweak: bytes) -> None:
        if not 2 <= radix <= 1 << 16 or n < 2 or radix**n < SMALLEST_DOMAIN:
            raise ValueError(f"FF1 needs a domain of at least {SMALLEST_DOMAIN} values")
        self.radix, self.n, self.tweak = radix, n, tweak
        self.u = n // 2
        self.v = n - self.u
        self.b = ((radix**self.v - 1).bit_length() + 7) // 8
        self.d = 4 * ((self.b + 3) // 4) + 4

    def prepared(self, encrypt: Any) -> tuple[bytes, bytes]:
        """The chaining value up to the last blocks of Q, and what stands in them before the round's number."""
        p = bytes([1, 2, 1]) + self.radix.to_bytes(3) + bytes([ROUNDS, self.u % 256])
        p += self.n.to_bytes(4) + len(self.tweak).to_bytes(4)
        fixed = self.tweak + bytes((-len(self.tweak) - self.b - 1) % 16)
        whole = len(fixed) // 16 * 16
        state: bytes = encrypt(p)
        for start in range(0, whole, 16):
            state = encrypt(_xor(state, fixed[start : start + 16]))
        return state, fixed[whole:]


def _shifted(half: Words, mixed: NDArray[Any], d: int, modulus: int, *, subtract: bool) -> Words:
    """(half ± y) mod modulus, where y is the first d bytes (8 or 12) of each row of `mixed`."""
    first = mixed[:, 0].astype(np.uint64)
    if modulus & (modulus - 1) == 0:
        y = first if d == 8 else first << np.uint64(32) | mixed[:, 1].astype(np.uint64) >> np.uint64(32)
        masked: Words = (half - y if subtract else half + y) & np.uint64(modulus - 1)
        return masked
    if d == 8 and modulus <= 1 << 32:
        y = below(first, modulus)
        return below(half + (np.uint64(modulus) - y if subtract else y), modulus)
    exact = first.astype(object)
    if d > 8:
        exact = exact * (1 << 32) + (mixed[:, 1].astype(np.uint64) >> np.uint64(32)).astype(object)
    moved_exact = half.astype(object) - exact if subtract else half.astype(object) + exact
    small: Words = (moved_exact % modulus).astype(np.uint64)
    return small


def below(values: Words, modulus: int) -> Words:
    """The remainders; numpy divides by one number several times as fast as it takes remainders."""
    remainders: Words = values - values // np.uint64(modulus) * np.uint64(modulus)
    return remainders


def _value(numerals: Sequence[int], radix: int) -> int:
    value = 0
    for numeral in numerals:
        if not 0 <= numeral < radix:
            raise ValueError("a numeral lies outside its radix")
        value = value * radix + numeral
    return value


def _numerals(value: int, radix: int, length: int) -> list[int]:
    numerals = []
    for _ in range(length):
        value, numeral = divmod(value, radix)
        numerals.append(numeral)
    return numerals[::-1]


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(16)


def _blocks(number: int, length: int) -> list[bytes]:
    content = number.to_bytes(length)
    return [content[start : start + 16] for start in range(0, length, 16)]


def _stretched(block: bytes, length: int, encrypt: Any) -> bytes:
    stretched, count = block, 0
    while len(stretched) < length:
        count += 1
        stretched += encrypt(_xor(block, count.to_bytes(16)))
    return stretched[:length]
