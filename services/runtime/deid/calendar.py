"""The days of the years 1800 to 2199, which are all that dates are about here, by tables.

They run in a circle of whole weeks, and at either end are a century more than those of births and terms, so that hardly
any day moves across where it closes.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Bytes, Flags, Offsets

SPAN = range(1800, 2200)
_DAYS = np.arange(f"{SPAN.start}-01-01", f"{SPAN.stop}-01-01", dtype="datetime64[D]")
_MONTHS = _DAYS.astype("datetime64[M]")

FIRST: date = _DAYS[0].item()
COUNT = len(_DAYS)
YEARS: Offsets = _DAYS.astype("datetime64[Y]").astype(np.int64) + 1970
MONTH_DAYS: Offsets = (_MONTHS.astype(np.int64) % 12 + 1) * 100 + (_DAYS - _MONTHS).astype(np.int64) + 1
WRITTEN: Offsets = YEARS * 10_000 + MONTH_DAYS
"""Of each day, in order, its year, 100 times its month and its day, and all of that as a number of eight digits."""


def year_of(short: Any) -> Any:
    """Of a year's two digits: one from 1930 to 2029.

    Leap years come alike around those and a century off, so that a day which moves out of them comes back all the same.
    """
    return short + 1900 + 100 * (short < _FIRST_SHORT)


_FIRST_SHORT = 30


def is_day(years: Offsets, month_days: Offsets) -> Flags:
    """Which are days, as numbers below 10,000 each."""
    return _OF_YEAR[_KIND_OF_YEAR[years], month_days] >= 0


def is_birthday(years: Offsets, month_days: Offsets) -> Flags:
    """Which are days of the years 1900 to 2099, as those in the numbers of people are."""
    return is_day(years, month_days) & (years >= 1900) & (years < 2100)


def ordinals(years: Offsets, month_days: Offsets) -> Offsets:
    """The number of each day, from 0 on; all are days."""
    return _BEFORE_YEAR[years] + _OF_YEAR[_KIND_OF_YEAR[years], month_days]


@cache
def digits() -> Bytes:
    """Of each day year, month and day in eight digits, COUNT x 8."""
    written: Bytes = (WRITTEN[:, None] // 10 ** np.arange(7, -1, -1) % 10).astype(np.uint8)
    return written


def _kinds_of_year() -> Bytes:
    """Of each number below 10,000: 0 no year, 1 a common one, 2 one with a 29 February."""
    days = np.bincount(YEARS, minlength=10_000)
    return (days > 0).astype(np.uint8) + (days > 365)


def _of_year() -> NDArray[np.int16]:
    """By the kind of the year the number of each day in it; -1 what is none."""
    numbers = np.full((3, 10_000), -1, dtype=np.int16)
    for kind, year in ((1, 1901), (2, 1904)):
        days = MONTH_DAYS[year == YEARS]
        numbers[kind, days] = np.arange(len(days))
    return numbers


_KIND_OF_YEAR, _OF_YEAR = _kinds_of_year(), _of_year()
_BEFORE_YEAR = np.searchsorted(YEARS, np.arange(10_000))

BIRTHDAYS: Offsets = WRITTEN[is_birthday(YEARS, MONTH_DAYS)]
