"""Dates moved by as many days each, so that what lies between two of them stays."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid import calendar, spelled_dates
from services.runtime.deid.keys import DerivedKeys

_NUMBERS, _RUN = re.compile(r"\d+"), re.compile(r"(\d+)")
_WIDE = {ord(character): ord(character) + 0xFEE0 for character in "0123456789-/."}
_NARROW = {wide: narrow for narrow, wide in _WIDE.items()}
_ORDERS = _MONTH_FIRST, _DAY_FIRST, _YEAR_FIRST = (2, 0, 1), (2, 1, 0), (0, 1, 2)
_MOST_DAYS = 31
_MOST_REMEMBERED = 100_000


class Dates:
    """Of one key, which for a subject is that of its seed."""

    def __init__(self, keys: DerivedKeys) -> None:
        self._key = keys.key("days")
        self._remembered: dict[tuple[str, int, bool], str] = {}

    def offset(self, most: int) -> int:
        """From -most to most days, never 0; whole weeks where that is one at least, so that days of the week stay."""
        step = 7 if most >= 7 else 1
        steps = most // step
        drawn = int.from_bytes(hashlib.blake2b(b"%d" % most, key=self._key, digest_size=8).digest()) % (2 * steps)
        return step * (drawn - steps if drawn < steps else drawn - steps + 1)

    def shifted(self, text: str, most: int, *, inverse: bool = False) -> str:
        """The date moved, in its own form: order, separators and whether months and days have leading zeros.

        Days run in a circle from 1800 to 2199, so that no two dates fall together. Where the day that it moves to would
        be read in another order, as the 11th of October in that of `13/03/1990`, it is written as it will be read.
        """
        asked = text, most, inverse
        if asked not in self._remembered:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[asked] = self._shifted(text, most, inverse=inverse)
        return self._remembered[asked]

    def _shifted(self, text: str, most: int, *, inverse: bool) -> str:
        day = day_of(text)
        if day is None:
            return text
        moved = self._moved(*day, most, inverse=inverse)
        found = list(_NUMBERS.finditer(text))
        parts = [match[0] for match in found]
        if len(parts) == 1:
            return moved.strftime("%Y%m%d")[-len(parts[0]) :]
        if len(parts) != 3:
            spelled = spelled_dates.read(text)
            assert spelled is not None
            return spelled[1](moved)
        order = _order(parts, text[found[0].end()])
        assert order is not None
        padded = any(len(parts[place]) == 2 and parts[place][0] == "0" for place in order[1:])
        padded |= all(len(parts[place]) == 2 for place in order[1:])
        width = 2 if padded else 1
        year = f"{moved.year}"[-len(parts[order[0]]) :]
        written = year, f"{moved.month:0{width}}", f"{moved.day:0{width}}"
        ways = ((other, [written[other.index(place)] for place in range(3)]) for other in (order, *_ORDERS))
        new = next(way for other, way in ways if _order(way, text[found[0].end()]) == other)
        pieces, at = [], 0
        for part, match in zip(new, found, strict=True):
            pieces += [text[at : match.start()], part]
            at = match.end()
        return "".join((*pieces, text[at:]))

    def written(self, rows: NDArray[np.uint8], most: int, *, inverse: bool = False) -> NDArray[np.uint8]:
        """The same for N days of eight digits each, year, month and day, N x 8."""
        halves = rows.reshape(-1, 2, 4) @ np.array([1000, 100, 10, 1])
        by = self.offset(most)
        return calendar.digits()[(calendar.ordinals(*halves.T) + (-by if inverse else by)) % calendar.COUNT]

    def _moved(self, year: int, month: int, day: int, most: int, *, inverse: bool) -> date:
        start = (date(year, month, 1) - calendar.FIRST).days + day - 1
        by = -self.offset(most) if inverse else self.offset(most)
        return calendar.FIRST + timedelta((start + by) % calendar.COUNT)


def day_of(text: str) -> tuple[int, int, int] | None:
    """Year, month and day of a date in any of its forms."""
    parts = _NUMBERS.findall(text)
    if len(parts) == 1:
        [digits] = parts
        return _year(digits[:-4]), int(digits[-4:-2]), int(digits[-2:])
    if len(parts) == 3:
        order = _order(parts, text[len(parts[0])])
        return None if order is None else _day(parts, order)
    spelled = spelled_dates.read(text)
    return None if spelled is None else (spelled[0].year, spelled[0].month, spelled[0].day)


def _order(parts: list[str], sign: str) -> tuple[int, int, int] | None:
    """Where year, month and day stand: as is usual with the sign between them, of the orders in which it is a day.

    A year of two digits that can be no day tells by itself where it stands.
    """
    if len(parts[0]) == 4:
        usual = [_YEAR_FIRST]
    else:
        usual = [_DAY_FIRST, _MONTH_FIRST] if sign == "." else [_MONTH_FIRST, _DAY_FIRST]
        if len(parts[2]) != 4 and int(parts[0]) > _MOST_DAYS:
            usual = [_YEAR_FIRST]
        elif len(parts[2]) != 4 and int(parts[2]) <= _MOST_DAYS:
            usual.insert(0 if sign == "-" else 2, _YEAR_FIRST)
    return next((order for order in usual if len(parts[order[0]]) > 1 and _day(parts, order)), None)


def _day(parts: list[str], order: tuple[int, int, int]) -> tuple[int, int, int] | None:
    year, month, day = (parts[place] for place in order)
    read = _year(year), int(month), int(day)
    try:
        date(*read)
    except ValueError:
        return None
    return read


def _year(digits: str) -> int:
    return int(digits) if len(digits) > 2 else int(calendar.year_of(int(digits)))


def in_widths(moved: str, like: str) -> str:
    """A date with digits and separators as wide, full or half, as those of another one of its form."""
    if like.isascii():
        return moved
    new, old = _RUN.split(moved), _RUN.split(like)
    if len(new) != len(old):
        return moved
    for place, before in enumerate(old):
        if place % 2 and not before.isascii():
            new[place] = new[place].translate(_WIDE)
        elif before.translate(_NARROW) == new[place]:
            new[place] = before
    return "".join(new)
