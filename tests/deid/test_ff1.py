"""FF1 against the sample vectors of NIST (SP 800-38G, FF1samples.pdf): all nine, one by one and as a batch."""

from __future__ import annotations

import numpy as np
import pytest

from services.runtime.deid.keys import Keys
from services.runtime.deid.pseudonyms.ff1 import Ff1, Shape
from services.runtime.deid.pseudonyms.numbers import Numbers

KEYS = {
    16: bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"),
    24: bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F"),
    32: bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"),
}
TEN, LETTERS = bytes.fromhex("39383736353433323130"), bytes.fromhex("3737373770717273373737")
SAMPLES = [
    (16, 10, b"", "0123456789", "2433477484"),
    (16, 10, TEN, "0123456789", "6124200773"),
    (16, 36, LETTERS, "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
    (24, 10, b"", "0123456789", "2830668132"),
    (24, 10, TEN, "0123456789", "2496655549"),
    (24, 36, LETTERS, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
    (32, 10, b"", "0123456789", "6657667009"),
    (32, 10, TEN, "0123456789", "1001623463"),
    (32, 36, LETTERS, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
]


def numerals(text: str) -> list[int]:
    return [int(character, 36) for character in text]


@pytest.mark.parametrize(("size", "radix", "tweak", "plain", "cipher"), SAMPLES)
def test_samples_of_the_standard(size: int, radix: int, tweak: bytes, plain: str, cipher: str) -> None:
    ff1 = Ff1(KEYS[size])
    assert ff1.encrypt(numerals(plain), radix, tweak) == numerals(cipher)
    assert ff1.decrypt(numerals(cipher), radix, tweak) == numerals(plain)
    shape = Shape(radix, len(plain), tweak)
    halves = [np.array([int(text, radix)], dtype=np.uint64) for text in (plain[: shape.u], plain[shape.u :])]
    left, right = ff1.permute(halves[0], halves[1], shape)
    assert (int(left[0]), int(right[0])) == (int(cipher[: shape.u], radix), int(cipher[shape.u :], radix))
    back = ff1.permute(left, right, shape, inverse=True)
    assert [int(half[0]) for half in back] == [int(half[0]) for half in halves]


@pytest.mark.parametrize(("radix", "n"), [(10, 6), (10, 7), (10, 18), (10, 19), (10, 36), (36, 5), (2, 20), (2, 73)])
def test_a_batch_is_what_one_by_one_is(radix: int, n: int) -> None:
    rng = np.random.default_rng(n)
    ff1, shape = Ff1(KEYS[32]), Shape(radix, n, b"tweak of any length, over a block")
    rows = rng.integers(0, radix, (20, n))
    halves = [
        np.array([int(sum(int(d) * radix**i for i, d in enumerate(reversed(row)))) for row in half], dtype=np.uint64)
        for half in (rows[:, : shape.u], rows[:, shape.u :])
    ]
    left, right = ff1.permute(halves[0], halves[1], shape)
    for index, row in enumerate(rows.tolist()):
        one = ff1.encrypt(row, radix, shape.tweak)
        value = 0
        for numeral in one:
            value = value * radix + numeral
        assert int(left[index]) * radix**shape.v + int(right[index]) == value


def test_too_small_a_domain_is_refused() -> None:
    with pytest.raises(ValueError, match="domain"):
        Ff1(KEYS[16]).encrypt([1, 2, 3, 4, 5], 10)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_short_strings_are_permuted_whole(n: int) -> None:
    """Exhaustively: every string once, none its own pseudonym, and back."""
    numbers = Numbers(Keys(bytes(16)).derive("secret", "p", "1", None))
    every = np.array([list(f"{value:0{n}}") for value in range(10**n)], dtype=np.uint8)
    after = numbers.digits(every, b"T")
    assert len(np.unique(after, axis=0)) == 10**n
    assert (after != every).any(axis=1).all()
    assert (numbers.digits(after, b"T", inverse=True) == every).all()
    assert (numbers.digits(every, b"U") != after).any()


def test_six_digits_are_permuted_whole() -> None:
    numbers = Numbers(Keys(bytes(16)).derive("secret", "p", "1", None))
    values = np.arange(10**6)
    every = (values[:, None] // 10 ** np.arange(5, -1, -1) % 10).astype(np.uint8)
    after = numbers.digits(every, b"T").astype(np.int64) @ 10 ** np.arange(5, -1, -1)
    assert np.bincount(after, minlength=10**6).max() == 1


@pytest.mark.parametrize("size", [2, 97, 10**5 + 3, 10**6 + 1, 2**20 + 1])
def test_numbers_below_any_size_are_permuted_whole(size: int) -> None:
    numbers = Numbers(Keys(bytes(16)).derive("secret", "p", "1", None))
    every = np.arange(size, dtype=np.uint64)
    after = numbers.below(every, size, b"T")
    assert np.bincount(after.astype(np.int64), minlength=size).max() == 1
    assert (numbers.below(after, size, b"T", inverse=True) == every).all()
