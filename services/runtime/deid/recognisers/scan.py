"""The one look of hyperscan at a content, for all that it is asked for."""

from __future__ import annotations

import re
from functools import cache

import hyperscan
import numpy as np

from services.runtime.deid.buffers import Buffer
from services.runtime.deid.recognisers import beginnings
from services.runtime.deid.recognisers.beginnings import Beginnings
from services.runtime.deid.recognisers.groups import MARGIN, Groups
from services.runtime.deid.recognisers.words import Words, listed


def scanned(buffer: Buffer, groups: Groups, classes: frozenset[str]) -> tuple[Words, Beginnings]:
    """The words of these classes, and where values begin: offsets of `groups`, which has margins."""
    found: list[int] = []
    add = found.append

    def matched(number: int, start: int, end: int, _flags: int, _context: object) -> None:
        add(number)
        add(start or end)  # 0 for a word, before which no match can begin within the margin

    database = _database(classes, groups.forms.plate_provinces)
    database.scan(groups.searched, match_event_handler=matched, scratch=hyperscan.Scratch(database))
    numbers, places = np.array(found, dtype=np.int64).reshape(-1, 2).T
    is_word = numbers >= beginnings.COUNT
    words = Words.of(buffer.bytes, classes, numbers[is_word] - beginnings.COUNT, places[is_word] - MARGIN)
    others = numbers[~is_word].tolist(), places[~is_word].tolist()
    return words, Beginnings.of(zip(*others, strict=True))


@cache
def _database(classes: frozenset[str], provinces: str) -> hyperscan.Database:
    """Words and expressions in one database: two would each take as long as both together."""
    expressions = [(each.number, each.expression.encode(), each.flags) for each in beginnings.expressions(provinces)]
    words = [(number, re.escape(word), hyperscan.HS_FLAG_CASELESS) for number, word in enumerate(listed(classes)[0])]
    expressions += [(beginnings.COUNT + number, word, flags) for number, word, flags in words]
    ids, written, flags = zip(*expressions, strict=True)
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(expressions=list(written), ids=list(ids), flags=list(flags))
    return database
