"""Numbers with an exponent that stand for a whole number, as a table of floats writes a phone: `1.3812345678E10`."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import APART

PATTERN = re.compile(rb"([0-9]+)(?:\.([0-9]+))?[eE]\+?([0-9]{1,3})")
_LONGEST = 36
_FEWEST = 5
_CELL = re.compile(rb"(?P<before> *[+-]?)(?P<number>%b)(?P<after> *)" % PATTERN.pattern)
_SOMEBODYS = 7
"""Digits from which on a number is rather somebody's than a measure."""


def whole_number(token: bytes) -> str:
    """The digits of a number with an exponent; none where it is no whole number of up to 36 digits, or where fewer
    than five digits of its own are too few to be somebody's.
    """
    found = PATTERN.fullmatch(token)
    assert found is not None
    whole, fraction, power = found[1], found[2] or b"", int(found[3])
    if len((whole + fraction).strip(b"0")) < _FEWEST or fraction[power:].strip(b"0"):
        return ""
    digits = (whole + fraction[:power] + b"0" * (power - len(fraction))).lstrip(b"0")
    return digits.decode() if len(digits) <= _LONGEST else ""


def read(token: bytes) -> str:
    """As `whole_number`, and digits alone as they are."""
    return token.decode() if token.isdigit() else whole_number(token)


def spelled_out(cells: list[bytes]) -> list[bytes]:
    """Cells that are wholly a number of at least seven digits without its exponent; the same list where none is."""
    raw = np.frombuffer(APART.join(cells), dtype=np.uint8)
    exponent = np.flatnonzero((raw[1:] | np.uint8(0x20)) == ord("e")) + 1
    exponent = exponent[(raw[exponent - 1] - np.uint8(ord("0"))) < 10]
    if not len(exponent):
        return cells
    ends = np.cumsum([len(cell) + 1 for cell in cells])
    new = cells
    for number in np.unique(np.searchsorted(ends, exponent, side="right")).tolist():
        found = _CELL.fullmatch(cells[number])
        digits = whole_number(found["number"]) if found else ""
        if found and len(digits) >= _SOMEBODYS:
            new = list(cells) if new is cells else new
            new[number] = found["before"] + digits.encode() + found["after"]
    return new
