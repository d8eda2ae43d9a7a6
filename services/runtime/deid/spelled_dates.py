"""Dates with months in words, in English, or with all of their numbers in Chinese numerals."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Final

from services.runtime.deid import calendar

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_NUMERALS = "〇一二三四五六七八九"
_ZEROS = "〇零○"
_NAME = "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"  # noqa: E501
_DAY, _YEAR = "[0-9]{1,2}(?:st|nd|rd|th)?", "(?:1[89]|2[01])[0-9]{2}"
_FIRST_DAY = f"{_DAY}[ /-](?:of )?{_NAME}\\.?,?[ /-]{_YEAR}"
_SHORT = f"{_DAY}[/-]{_NAME}[/-][0-9]{{2}}"
_FIRST_MONTH = f"{_NAME}\\.?[ -]{_DAY},?[ -]{_YEAR}"
_FIRST_YEAR = f"{_YEAR}[ /-]{_NAME}[ /-]{_DAY}"
_ANY = f"(?:{'|'.join(_NUMERALS + _ZEROS)})"
_UP_TO_31 = "(?:(?:二|三)?十(?:一|二|三|四|五|六|七|八|九)?|一|二|三|四|五|六|七|八|九)"
_CHINESE = f"(?:一|二){_ANY}{_ANY}{_ANY}年{_UP_TO_31}月{_UP_TO_31}(?:日|号|號)"

ENGLISH: Final = (_FIRST_DAY, _SHORT, _FIRST_MONTH, _FIRST_YEAR)
CHINESE: Final = _CHINESE
"""Regular expressions, of English ones without regard to case."""

LONGEST: Final = 48
"""Bytes of UTF-8."""

_PARTS = re.compile(f"(?P<year>[0-9]{{4}})|(?P<day>[0-9]{{1,2}})(?P<th>st|nd|rd|th)?|(?P<name>{_NAME})", re.IGNORECASE)
_DATE = re.compile("|".join(ENGLISH), re.IGNORECASE)
_CHINESE_DATE = re.compile(_CHINESE)


def at_start(text: str) -> str:
    """The date that the text begins with, which may be empty."""
    found = _DATE.match(text) or _CHINESE_DATE.match(text)
    return found[0] if found and read(found[0]) else ""


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[date, Callable[[date], str]] | None:
    """The day that it says, and how another one is written in its manner; None where the calendar has no such day."""
    try:
        day, written = _read_chinese(text) if _CHINESE_DATE.fullmatch(text) else _read_english(text)
    except ValueError:
        return None
    return (day, written) if day.year in calendar.SPAN else None


def _read_chinese(text: str) -> tuple[date, Callable[[date], str]]:
    year, month, day = re.split("[年月日号號]", text)[:3]
    zero = next((digit for digit in year if digit in _ZEROS), "〇")

    def written(other: date) -> str:
        digits = "".join(zero if digit == "0" else _NUMERALS[int(digit)] for digit in f"{other.year}")
        return f"{digits}年{_numeral(other.month)}月{_numeral(other.day)}{text[-1]}"

    digits = "".join("0" if digit in _ZEROS else str(_NUMERALS.index(digit)) for digit in year)
    return date(int(digits), _value(month), _value(day)), written


def _value(numeral: str) -> int:
    tens, ten, ones = numeral.rpartition("十")
    return (_NUMERALS.index(tens) if tens else 1) * 10 * bool(ten) + (_NUMERALS.index(ones) if ones else 0)


def _numeral(value: int) -> str:
    tens, ones = divmod(value, 10)
    return (_NUMERALS[tens] if tens > 1 else "") + "十" * bool(tens) + (_NUMERALS[ones] if ones else "")


def _read_english(text: str) -> tuple[date, Callable[[date], str]]:
    parts = dict[str, re.Match[str]]()
    for match in _PARTS.finditer(text):
        kind = next(kind for kind in ("year", "day", "name") if match[kind])
        parts["year" if kind in parts else kind] = match  # after the day one of two digits
    name, day, year = parts["name"]["name"], parts["day"], parts["year"][0]
    padded = len(day["day"]) == 2 and (day["day"][0] == "0" or text[parts["name"].end()] in "-/")
    month = next(number for number, full in enumerate(_MONTHS, 1) if full[:3].lower() == name[:3].lower())
    short = len(name) < len(_MONTHS[month - 1]) or (len(name) == 3 and text[parts["name"].end()] in "-/.")  # May

    def written(other: date) -> str:
        full = _MONTHS[other.month - 1]
        named = full[:3] if short else full
        named = named.upper() if name.isupper() else named.lower() if name.islower() else named
        numbered = f"{other.day:02}" if padded else f"{other.day}"
        numbered += _ending(other.day) if day["th"] else ""
        new = {"name": named, "day": numbered, "year": f"{other.year}"[-len(year) :]}
        pieces, at = [], 0
        for kind, match in sorted(parts.items(), key=lambda item: item[1].start()):
            pieces += [text[at : match.start()], new[kind]]
            at = match.end()
        return "".join((*pieces, text[at:]))

    return date(int(year) if len(year) > 2 else int(calendar.year_of(int(year))), month, int(day["day"])), written


def _ending(day: int) -> str:
    return "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
