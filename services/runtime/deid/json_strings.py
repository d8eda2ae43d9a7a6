"""Where the values of JSON documents are: found by their quotes in one vectorised pass, without building objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from services.runtime.deid import escapes, exponents
from services.runtime.deid.buffers import Areas, Bytes, Flags, Offsets, Runs
from services.runtime.deid.escapes import Backslashes, Escapes
from services.runtime.deid.json_fields import Names
from services.runtime.deid.marks import Marks
from services.runtime.deid.reaches import among_bytes

_BLANKS = np.frombuffer(b" \n\r\t", dtype=np.uint8)
_QUOTE, _COLON = 34, 58
_CODES = among_bytes("u/")
_SHORTEST, _SHORTEST_NAME = 5, 6


class Strings(NamedTuple):
    """String values: `areas` between their quotes, `coded` those with escapes that stand for a character of text.

    `numbers`: areas that are the whole part of a number, without its sign, instead or, coded, a whole number that is
    written with an exponent. `names`: areas that are the name of a field. `escapes`: all others. `fields`: those asked
    for that are there. `runs` of all digits. `wide`: where full-width forms may begin.
    """

    areas: Areas
    coded: Flags
    numbers: Flags
    names: Flags
    escapes: Escapes | None
    fields: frozenset[str]
    runs: Runs
    wide: Offsets


def of(content: bytes, documents: Offsets, fields: Sequence[str] | None, *, to_the_letter: bool = False) -> Strings:
    """The values of valid JSON documents, which begin at the offsets `documents`.

    `fields`: names of keys from the outermost on, joined by dots (arrays count for nothing), whose own values and
    whatever those contain are wanted; None wants all, but of numbers only those of five digits or more. Of names of
    fields those are wanted that have six bytes or more. `to_the_letter`: what has any escape is to be decoded, also
    where recognisers find nothing at escapes of one character, and shorter names are wanted too.
    """
    raw: Bytes = np.frombuffer(content, dtype=np.uint8)
    quotes, at, wide = Marks.of(raw)
    backslashes = Backslashes.of(raw, at) if len(at) else None
    if backslashes:
        escaped = backslashes.ends[backslashes.odd & (backslashes.after == _QUOTE)]
        quotes = np.delete(quotes, np.searchsorted(quotes, escaped)) if len(escaped) else quotes
    opened, closed = quotes[0::2], quotes[1::2]
    is_key = _next_character(raw, closed) == _COLON
    runs = Runs.of(raw)
    beside = runs.take(np.searchsorted(quotes, runs.starts) % 2 == 0)
    starts, ends, powers = _whole_numbers(raw, content, beside, 1 if fields is not None else _SHORTEST)
    is_number, is_power = np.zeros(len(opened), dtype=np.bool_), np.zeros(len(opened), dtype=np.bool_)
    if len(starts):  # as strings whose quotes are the characters beside them
        place = np.searchsorted(opened, starts)
        opened, closed = np.insert(opened, place, starts - 1), np.insert(closed, place, ends)
        is_key, is_number = np.insert(is_key, place, False), np.insert(is_number, place, True)
        is_power = np.insert(is_power, place, powers)
    ordinals = np.arange(len(opened))
    last_key = np.maximum.accumulate(np.where(is_key, ordinals, -1)) if len(opened) else ordinals
    document = np.searchsorted(documents, opened + is_number, side="right")
    wanted, found = np.ones(len(opened), dtype=np.bool_), set[str]()
    if fields is not None:
        has_escape = _any_between(at, opened, closed)
        wanted, found = Names(raw, quotes, opened, closed, is_key, has_escape, document).under(fields)
    if not to_the_letter:
        wanted &= ~is_key | (closed - opened > _SHORTEST_NAME)
    chosen = np.flatnonzero(wanted)
    key = last_key[chosen]
    named = (key >= 0) & (document[np.maximum(key, 0)] == document[chosen]) & ~is_key[chosen]
    key = np.maximum(key, 0)
    areas = Areas(
        opened[chosen] + 1,
        closed[chosen],
        np.where(named, opened[key] + 1, 0) if len(chosen) else chosen,
        np.where(named, closed[key], 0) if len(chosen) else chosen,
    )
    coded = is_power[chosen]
    if backslashes:
        coding = backslashes.starts[to_the_letter | (backslashes.odd & _CODES[backslashes.after])]
        coded = coded | (_any_between(coding, areas.starts, areas.ends) & ~is_number[chosen])
        coded |= _any_between(coding, areas.name_starts, areas.name_ends)
    shown = None if to_the_letter or not backslashes else escapes.of_json(raw, backslashes)
    return Strings(areas, coded, is_number[chosen], is_key[chosen], shown, frozenset(found), runs, wide)


def _any_between(places: Offsets, starts: Offsets, ends: Offsets) -> Flags:
    return np.asarray(np.searchsorted(places, starts) != np.searchsorted(places, ends))


def decoded(token: bytes) -> str:
    """The text of a string with its quotes."""
    return msgspec.json.decode(token, type=str)


def said(part: bytes) -> str:
    """The text of a part of a string, as JSON says it."""
    return decoded(b'"' + part + b'"') if b"\\" in part else part.decode()


def _whole_numbers(raw: Bytes, content: bytes, runs: Runs, shortest: int) -> tuple[Offsets, Offsets, Flags]:
    """Of the numbers, whose digits are `runs`: from the first digit to the last before a point, and which are powers.

    Those are whole numbers that are written with an exponent, which belongs to them.
    """
    before = np.where(runs.starts > 0, raw[np.maximum(runs.starts - 1, 0)], ord(" "))
    whole = (before == _COLON) | (before == ord(",")) | (before == ord("[")) | (before <= ord(" "))
    whole |= before == ord("-")
    exponent = (_at_or_zero(raw, runs.ends) | np.uint8(0x20)) == ord("e")
    powers = _powers(content, runs.ends[exponent], shortest)
    whole &= runs.digits >= shortest
    if not powers:
        return runs.starts[whole], runs.ends[whole], np.zeros(np.count_nonzero(whole), dtype=np.bool_)
    first, last = np.array(powers, dtype=np.int64).T
    numbers = runs.take(whole & ~np.isin(runs.starts, first))
    starts, ends = np.append(numbers.starts, first), np.append(numbers.ends, last)
    order = np.argsort(starts)
    return starts[order], ends[order], order >= len(numbers.starts)


def _powers(content: bytes, places: Offsets, shortest: int) -> list[tuple[int, int]]:
    """Where whole numbers with an exponent begin and end."""
    found = []
    for exponent in places.tolist():
        start = exponent
        while start and content[start - 1] in b"0123456789.":
            start -= 1
        token = exponents.PATTERN.match(content, start)
        if token is not None and len(exponents.whole_number(token[0])) >= shortest:
            found.append((start, token.end()))
    return found


def _next_character(raw: Bytes, closed: Offsets) -> Bytes:
    """The first after each closing quote that is no white space; 0 at the end."""
    following = _at_or_zero(raw, closed + 1)
    blank = _is_blank(following)
    if blank.any():
        solid = np.append(np.flatnonzero(~_is_blank(raw)), len(raw))
        following[blank] = _at_or_zero(raw, solid[np.searchsorted(solid, closed[blank] + 1)])
    return following


def _at_or_zero(raw: Bytes, places: Offsets) -> Bytes:
    """The bytes there, 0 for a place after the last."""
    found: Bytes = raw.take(places, mode="clip")
    found[places >= len(raw)] = 0
    return found


def _is_blank(characters: Bytes) -> Flags:
    return np.isin(characters, _BLANKS)
