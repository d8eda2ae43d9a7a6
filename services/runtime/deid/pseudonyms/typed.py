"""Pseudonyms of values that follow a numbering plan: a permutation of the plan's values, or onto values outside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.pseudonyms.numbers import FOUR_DIGITS, Numbers
from services.runtime.deid.pseudonyms.plans import Codes, Field, Plan
from services.runtime.deid.rules import Output

Values = NDArray[np.uint8]


def permuted(
    rows: Values, plan: Plan, numbers: Numbers, tweak: bytes, output: Output, *, inverse: bool = False
) -> tuple[Values, NDArray[np.bool_]]:
    """N values (N x n numerals of the plan's radix) as N others, and which of them the plan has at all.

    A check character that held before holds after, and one that was wrong is wrong by as much, so that originals
    which differ in it alone stay apart. With output `invalid` no check holds. `inverse` goes back.
    """
    before, after = _sides(plan, output)
    if inverse:
        before, after = after, before
    if plan.check and output == "invalid":
        return _spoiled(rows, plan, numbers, tweak, inverse=inverse)
    body = rows[:, : sum(field.width for field in plan.fields)]
    index, known = _index(body, before, plan.radix)
    moved = numbers.below(index, _size(before), tweak, inverse=inverse)
    written = _written(moved, after, plan.radix, body)
    if plan.check:
        expected, modulus = plan.check
        offset = (rows[:, -1].astype(np.int64) - expected(body)) % modulus
        check = (expected(written) + offset) % modulus
        written = np.concatenate([written, check[:, None].astype(np.uint8)], axis=1)
    return written, known


Side = list[tuple[int, Codes]]


def _sides(plan: Plan, output: Output) -> tuple[Side, Side]:
    given: Side = [(field.width, field.given) for field in plan.fields]
    if output == "valid":
        return given, given
    return given, [(field.width, _never(field)) for field in plan.fields]


def _never(field: Field) -> Codes:
    return field.given if field.never is None else field.never


def _spoiled(
    rows: Values, plan: Plan, numbers: Numbers, tweak: bytes, *, inverse: bool
) -> tuple[Values, NDArray[np.bool_]]:
    """The first field and the check's offset are one number; written, it leaves the offset no 0.

    Of S first codes and m offsets there are S*m pairs, and S' spare codes with m-1 wrong offsets have room for them.
    """
    assert plan.check is not None
    assert plan.spare is not None
    expected, modulus = plan.check
    given: Side = [(field.width, field.given) for field in plan.fields]
    spare: Side = [(plan.fields[0].width, plan.spare), *given[1:]]
    pairs = len(given[0][1]) * modulus
    rest = _size(given[1:])
    before, after = (spare, given) if inverse else (given, spare)
    body = rows[:, :-1]
    index, known = _index(body, before, plan.radix)
    offset = (rows[:, -1].astype(np.int64) - expected(body)) % modulus
    kind = _kind(pairs * rest)
    rest_of = _number(index.dtype, rest)
    first, others = (index // rest_of).astype(np.int64), index % rest_of
    if inverse:
        pair = first * (modulus - 1) + np.maximum(offset - 1, 0)
        known &= (offset > 0) & (pair < pairs)
        pair = np.minimum(pair, pairs - 1)
    else:
        pair = first * modulus + offset
    one = _number(kind, rest)
    moved = numbers.below(pair.astype(kind) * one + others.astype(kind), pairs * rest, tweak, inverse=inverse)
    pair, others = (moved // one).astype(np.int64), moved % one
    first, offset = (pair // modulus, pair % modulus) if inverse else (pair // (modulus - 1), 1 + pair % (modulus - 1))
    wide = _kind(len(after[0][1]) * rest)
    index = first.astype(wide) * _number(wide, rest) + others.astype(wide)
    written = _written(index, after, plan.radix, body)
    check = (expected(written) + offset) % modulus
    return np.concatenate([written, check[:, None].astype(np.uint8)], axis=1), known


def _kind(size: int) -> np.dtype[Any]:
    return np.dtype(object if size > 1 << 63 else np.uint64)


def _number(kind: np.dtype[Any], value: int) -> Any:
    """Of the array's own kind, so that numpy neither widens to floats nor overflows."""
    return value if kind.hasobject else np.uint64(value)


def _size(side: Side) -> int:
    size = 1
    for _, codes in side:
        size *= len(codes)
    return size


def _index(body: Values, side: Side, radix: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Each row's place among all values of the plan; 0 where it is none of them."""
    kind = _kind(_size(side))
    index = np.zeros(len(body), dtype=kind)
    known = np.ones(len(body), dtype=np.bool_)
    at = 0
    for width, codes in side:
        value = np.zeros(len(body), dtype=np.int64)
        for column in range(at, at + width):
            value = value * radix + body[:, column]
        at += width
        if len(codes) == radix**width:
            place = value
        else:
            place = np.minimum(np.searchsorted(codes, value), len(codes) - 1)
            known &= codes[place] == value
        index = index * _number(kind, len(codes)) + place.astype(kind)
    index[~known] = _number(kind, 0)
    return index, known


def _written(index: NDArray[Any], side: Side, radix: int, like: Values) -> Values:
    rows = np.empty_like(like)
    at = like.shape[1]
    for width, codes in reversed(side):
        count = _number(index.dtype, len(codes))
        rest = index // count
        value = codes[(index - rest * count).astype(np.int64)]
        index = rest
        _write_code(rows[:, at - width : at], value, radix)
        at -= width
    return rows


def _write_code(rows: Values, value: Codes, radix: int) -> None:
    last = rows.shape[1]
    while radix == 10 and last >= 4:
        rest = value // 10_000
        rows[:, last - 4 : last] = FOUR_DIGITS[value - rest * 10_000]
        value, last = rest, last - 4
    for column in range(last - 1, -1, -1):
        value, rows[:, column] = np.divmod(value, radix)
