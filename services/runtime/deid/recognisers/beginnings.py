"""One look of hyperscan at a content: where what is told by its beginning begins, and which shapes are there at all."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

import msgspec

from services.runtime.deid import spelled_dates, spelled_mails
from services.runtime.deid.pseudonyms.plans import KEY_PREFIXES, PLATE_SIGNS
from services.runtime.deid.recognisers.groups import Groups

Shape = Literal["scheme", "www", "colons", "dashes", "dots", "bots"]

# Without any of them nobody has to look at each colon, point or dash of a content.
_SHAPES: dict[Shape, str] = {
    "scheme": "://",
    "www": r"www\.",
    "colons": ":[0-9A-Fa-f]{0,4}:",
    "dashes": "-[0-9A-Fa-f]{2}-",
    "dots": r"\.[0-9A-Fa-f]{4}\.",
    "bots": "[0-9]{8}:[A-Za-z0-9_-]{35}",
}
_PLATE, _DATE, _KEY, _MAIL = range(4)
_FIRST_SHAPE = 4


class Beginnings(msgspec.Struct, frozen=True):
    """Offsets in ascending order of what may be plates, dates with names of months, keys of services, and what
    stands for the @ of a mail address.
    """

    plates: list[int]
    dates: list[int]
    keys: list[int]
    mails: list[int]
    shapes: frozenset[Shape]

    @classmethod
    def of(cls, groups: Groups) -> Beginnings:
        import hyperscan

        found: tuple[list[int], ...] = tuple([] for _ in range(_FIRST_SHAPE + len(_SHAPES)))
        database = _database(groups.forms.plate_provinces)
        database.scan(
            groups.searched,
            match_event_handler=lambda number, start, *_: found[number].append(start),
            scratch=hyperscan.Scratch(database),
        )
        shapes = frozenset(shape for shape, at in zip(_SHAPES, found[_FIRST_SHAPE:], strict=True) if at)
        return cls(sorted(found[_PLATE]), sorted(found[_DATE]), sorted(found[_KEY]), sorted({*found[_MAIL]}), shapes)


@cache
def _database(provinces: str) -> Any:
    import hyperscan

    begins, signs = hyperscan.HS_FLAG_SOM_LEFTMOST, "|".join(map(re.escape, PLATE_SIGNS))
    expressions = [
        *(
            (_PLATE, f"(?:{'|'.join(some)})(?:{signs})?[A-HJ-NP-Za-hj-np-z]", begins)
            for some in (
                provinces[::2],
                provinces[1::2],
            )  # of more than 32 in one, the search takes three times as long
        ),
        *(
            (_DATE, expression, begins | hyperscan.HS_FLAG_CASELESS)
            for expression in (*spelled_dates.ENGLISH, spelled_dates.CHINESE)
        ),
        *(
            (_MAIL, expression, begins | hyperscan.HS_FLAG_CASELESS)
            for expression in (*spelled_mails.AT, spelled_mails.AT_AS_WORD)
        ),
        *((_KEY, re.escape(prefix) + rest, begins) for prefix, rest in KEY_PREFIXES.items()),
        *(
            (number, shape, hyperscan.HS_FLAG_SINGLEMATCH)
            for number, shape in enumerate(_SHAPES.values(), start=_FIRST_SHAPE)
        ),
    ]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[expression.encode() for _, expression, _ in expressions],
        ids=[number for number, _, _ in expressions],
        flags=[flags for _, _, flags in expressions],
    )
    return database
