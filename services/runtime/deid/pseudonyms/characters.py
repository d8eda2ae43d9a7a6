"""Permutations of texts that keep the kind of each character: digits stay digits, letters letters, 汉字 汉字.

A Feistel network of ten rounds over the even and the odd characters, each moved within its own radix by a stream that
AES makes of the other half: FF1's construction, with a radix for each character. Short texts keep no secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numpy.typing import NDArray

from services.runtime.deid.keys import DerivedKeys

ROUNDS = 10
Wide = NDArray[np.uint32]

_FEW = 17
"""Bits."""
_MOST_CHAINED = 8
_MANY = 500
_BLOCK = 8
"""Characters of a half in one block of AES, two bytes each."""


class Characters:
    """One key; another permutation for every tweak."""

    def __init__(self, keys: DerivedKeys) -> None:
        self._cipher = Cipher(AES(keys.key("characters")), ECB())  # noqa: S305 - chained below

    def permute(self, rows: Wide, radices: Wide, tweak: bytes, *, inverse: bool = False) -> Wide:
        """N texts of up to L characters (N x L numerals) as N others; radix 1 where a text has ended."""
        permuted = np.zeros_like(rows)
        lengths = (radices > 1).sum(axis=1)
        blocks = np.maximum(1, -(-((lengths + 1) // 2) // _BLOCK))
        for count in np.unique(blocks):
            chosen = np.flatnonzero(blocks == count)
            width = min(2 * _BLOCK * int(count), rows.shape[1])
            permuted[chosen, :width] = self._same_blocks(
                rows[chosen, :width], radices[chosen, :width], lengths[chosen], int(count), tweak, inverse=inverse
            )
        return permuted

    def replace(self, rows: Wide, radices: Wide, tweak: bytes, *, inverse: bool = False) -> Wide:
        """The same, where no text of few possible ones is its own pseudonym: its first character always moves on."""
        few = (np.log2(radices).sum(axis=1) < _FEW) & (radices[:, 0] > 1)
        replaced = np.empty_like(rows)
        replaced[~few] = self.permute(rows[~few], radices[~few], tweak, inverse=inverse)
        replaced[few] = self._moved_on(rows[few], radices[few], tweak, inverse=inverse)
        return replaced

    def _moved_on(self, rows: Wide, radices: Wide, tweak: bytes, *, inverse: bool) -> Wide:
        """The first character by an amount that the others tell, and those by themselves."""
        first, others, limits = radices[:, 0], rows.copy(), radices.copy()
        others[:, 0], limits[:, 0] = 0, 1
        moved = self.permute(others, limits, tweak + b"/others", inverse=inverse)
        limits[:, 0] = first - 1
        by = 1 + self.permute(moved if inverse else others, limits, tweak + b"/first")[:, 0]
        moved[:, 0] = (rows[:, 0] + (first - by if inverse else by)) % first
        return moved

    def _same_blocks(
        self, rows: Wide, radices: Wide, lengths: NDArray[np.int64], blocks: int, tweak: bytes, *, inverse: bool
    ) -> Wide:
        halves = [rows[:, 0::2].copy(), rows[:, 1::2].copy()]
        limits = [np.maximum(radices[:, 0::2], 1), np.maximum(radices[:, 1::2], 1)]
        encrypt = self._cipher.encryptor().update
        different, which = np.unique(lengths, return_inverse=True)
        starts = np.zeros((len(different), 16), dtype=np.uint8)
        starts[:, :8] = np.frombuffer(hashlib.blake2b(tweak, digest_size=8).digest(), dtype=np.uint8)
        starts[:, 8:12] = different.astype(">u4")[:, None].view(np.uint8).reshape(-1, 4)
        for step in range(ROUNDS):
            i = ROUNDS - 1 - step if inverse else step
            moved, fed = i % 2, 1 - i % 2
            starts[:, 15] = i
            stream = _stream(encrypt, starts, which, halves[fed], halves[moved].shape[1], blocks)
            limit = limits[moved]
            shift = stream % limit
            if inverse:
                np.subtract(limit, shift, out=shift)
            shift += halves[moved]
            halves[moved] = np.minimum(shift, shift - limit)  # below the limit: what goes below zero becomes large
        result = np.empty_like(rows)
        result[:, 0::2], result[:, 1::2] = halves
        return result


def _stream(
    encrypt: object, starts: NDArray[np.uint8], which: NDArray[np.int64], half: Wide, characters: int, blocks: int
) -> Wide:
    """For each row 32 bits a character, out of the other half and of that of the starts which is the row's."""
    assert callable(encrypt)
    n = len(half)
    padded = np.zeros((n, blocks * _BLOCK), dtype=">u2")
    for columns in _columns(half):
        padded[:, columns] = half[:, columns]
    if blocks > _MOST_CHAINED:
        return _counted(
            encrypt, _hashed(starts[which], padded.view(np.uint8).reshape(n, blocks, 16), encrypt), characters
        )
    words = padded.view(np.uint64).reshape(n, blocks, 2)
    state = np.frombuffer(encrypt(starts.data), dtype=np.uint64).reshape(-1, 2)[which]
    for block in range(blocks):
        for columns in _columns(state):
            state[:, columns] ^= words[:, block, columns]
        state = np.frombuffer(bytearray(encrypt(state.view(np.uint8).data)), dtype=np.uint64).reshape(n, 2)
    return _counted(encrypt, state.view(np.uint8), characters)


def _columns(rows: np.ndarray[Any, Any]) -> Iterable[int] | Iterable[slice]:
    """All at once, or each by itself where they are long: numpy takes its time for each row."""
    return range(rows.shape[1]) if len(rows) > _MANY else (slice(rows.shape[1]),)


def _hashed(start: NDArray[np.uint8], content: NDArray[np.uint8], encrypt: object) -> NDArray[np.uint8]:
    """For long texts: the other half hashed, then under the key as a block."""
    assert callable(encrypt)
    key = encrypt(bytes(16))
    digests = [
        hashlib.blake2b(first.tobytes() + half.tobytes(), key=key, digest_size=16).digest()
        for first, half in zip(start, content, strict=True)
    ]
    return np.frombuffer(encrypt(b"".join(digests)), dtype=np.uint8).reshape(-1, 16)


def _counted(encrypt: object, state: NDArray[np.uint8], characters: int) -> Wide:
    """A stream: the state with a counter in its last four bytes, encrypted, block by block."""
    assert callable(encrypt)
    blocks = -(-characters // 4)
    counted = np.repeat(state[:, None, :], blocks, axis=1)
    last = counted.view(">u4")[:, :, 3]
    for columns in _columns(last):
        last[:, columns] ^= np.arange(1, blocks + 1, dtype=">u4")[columns]
    return np.frombuffer(encrypt(counted.data), dtype=">u4").reshape(len(state), -1)[:, :characters].astype(np.uint32)


@cache
def common_characters() -> str:
    """The 3,755 汉字 of the first level of GB 2312: names and places are written with them."""
    return "".join(
        bytes((row, cell)).decode("gb2312")
        for row in range(0xB0, 0xD8)
        for cell in range(0xA1, 0xFF)
        if not (row == 0xD7 and cell > 0xF9)
    )
