"""Where what is told by its beginning begins, and which shapes are there at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

import hyperscan
import msgspec

from services.runtime.deid import spelled_dates, spelled_mails
from services.runtime.deid.pseudonyms.plans import KEY_PREFIXES, PLATE_SIGNS

Shape = Literal["scheme", "www", "colons", "dashes", "dots", "bots", "rows", "inserts"]

# Without any of them nobody has to look at each colon, point or dash of a content.
_SHAPES: dict[Shape, str] = {
    "scheme": "://",
    "www": r"www\.",
    "colons": ":[0-9A-Fa-f]{0,4}:",
    "dashes": "-[0-9A-Fa-f]{2}-",
    "dots": r"\.[0-9A-Fa-f]{4}\.",
    "bots": "[0-9]{8}:[A-Za-z0-9_-]{35}",
    "rows": r"\|[ \t]{0,8}:?-",
    "inserts": r"[Vv][Aa][Ll][Uu][Ee][Ss]\s{0,16}\(",
}
_CONNECTION = r"@(?:tcp[46]?|unix)\(|:(?:543[0-9]|6432):"
_PLATE, _DATE, _KEY, _MAIL, _CONNECTED = range(5)
_FIRST_SHAPE = 5


class Beginnings(msgspec.Struct, frozen=True):
    """Offsets in ascending order of what may be plates, dates with names of months, keys of services, what stands
    for the @ of a mail address, and the transport or the port of what connects to a database.
    """

    plates: list[int]
    dates: list[int]
    keys: list[int]
    mails: list[int]
    connections: list[int]
    shapes: frozenset[Shape]

    @classmethod
    def of(cls, found: Iterable[tuple[int, int]]) -> Beginnings:
        """`found`: numbers of expressions, and where what they match begins."""
        places: tuple[list[int], ...] = tuple([] for _ in range(COUNT))
        for number, start in found:
            places[number].append(start)
        shapes = frozenset(shape for shape, at in zip(_SHAPES, places[_FIRST_SHAPE:], strict=True) if at)
        return cls(
            plates=sorted(places[_PLATE]),
            dates=sorted(places[_DATE]),
            keys=sorted(places[_KEY]),
            mails=sorted({*places[_MAIL]}),
            connections=sorted(places[_CONNECTED]),
            shapes=shapes,
        )


COUNT = _FIRST_SHAPE + len(_SHAPES)
"""Of numbers that expressions have."""


class Expression(NamedTuple):
    """Of hyperscan; several may have one number."""

    number: int
    expression: str
    flags: int


def expressions(provinces: str) -> list[Expression]:
    begins, signs = hyperscan.HS_FLAG_SOM_LEFTMOST, "|".join(map(re.escape, PLATE_SIGNS))
    caseless = begins | hyperscan.HS_FLAG_CASELESS
    halves = provinces[::2], provinces[1::2]  # of more than 32 in one, the search takes three times as long
    every = [
        *((_PLATE, f"(?:{'|'.join(some)})(?:{signs})?[A-HJ-NP-Za-hj-np-z]", begins) for some in halves),
        *((_DATE, expression, caseless) for expression in (*spelled_dates.ENGLISH, spelled_dates.CHINESE)),
        *((_MAIL, expression, caseless) for expression in (*spelled_mails.AT, spelled_mails.AT_AS_WORD)),
        (_CONNECTED, _CONNECTION, begins),
        *((_KEY, re.escape(prefix) + rest, begins) for prefix, rest in KEY_PREFIXES.items()),
        *(
            (number, shape, hyperscan.HS_FLAG_SINGLEMATCH)
            for number, shape in enumerate(_SHAPES.values(), _FIRST_SHAPE)
        ),
    ]
    return [Expression(*each) for each in every]
