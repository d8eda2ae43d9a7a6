"""The patterns of a policy's author, on hyperscan: time grows with the text alone, whatever the pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.problems import Wrong
from services.runtime.deid.policies import Pattern
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.refusals import PolicyRefused

LONGEST_MATCH = 256
"""Bytes."""


def refuse_unfit(patterns: Sequence[Pattern]) -> None:
    """Raises PolicyRefused for patterns that hyperscan does not take, that match nothing, or without bound."""
    import hyperscan

    wrongs = []
    for index, own in enumerate(patterns):
        at = f"/patterns/{index}/pattern"
        try:
            info = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
            info.compile(expressions=[own.pattern.encode()], ids=[0], flags=[_flags(own)])
            empty, longest = _widths(own)
        except (hyperscan.error, hyperscan.HyperscanError, UnicodeEncodeError, re.error, OverflowError):
            zh, en = "不是线性时间引擎支持的正则表达式", "is not a regular expression of the linear-time engine"
            wrongs.append(Wrong(at, zh, en))
            continue
        if empty:
            wrongs.append(Wrong(at, "不得匹配空文本", "must not match empty text"))
        elif longest > LONGEST_MATCH:
            zh = f"匹配长度必须有上限，且不超过 {LONGEST_MATCH} 字节：用 {{1,64}} 代替 + 和 *"
            en = f"must have matches of at most {LONGEST_MATCH} bytes: write {{1,64}} for + and *"
            wrongs.append(Wrong(at, zh, en))
    if wrongs:
        raise PolicyRefused(*wrongs)


def _widths(own: Pattern) -> tuple[bool, float]:
    """Whether it matches nothing at all, and the most bytes that it can match; of hyperscan's syntax, Python's too."""
    from re import _parser  # type: ignore[attr-defined]

    least, most = _parser.parse(own.pattern).getwidth()
    one_byte = own.pattern.isascii() and not re.search(r"\.|\[\^|\\[DSWpPxuN]", own.pattern)
    return least == 0, most * (1 if one_byte else 4)


def _flags(own: Pattern) -> int:
    import hyperscan

    flags = hyperscan.HS_FLAG_SOM_LEFTMOST | hyperscan.HS_FLAG_UTF8
    return int(flags | hyperscan.HS_FLAG_CASELESS if own.ignore_case else flags)


class Patterns:
    """Finds the patterns of one policy. Overlapping matches of one pattern are one span, so nothing of them is left."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        import hyperscan

        self._patterns = patterns
        self._database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[own.pattern.encode() for own in patterns],
            ids=list(range(len(patterns))),
            flags=[_flags(own) for own in patterns],
        )

    def find(self, content: bytes, out: Candidates) -> None:
        import hyperscan

        found: list[tuple[int, int, int]] = []
        self._database.scan(
            content,
            match_event_handler=lambda number, start, end, *_: found.append((number, start, end)),
            scratch=hyperscan.Scratch(self._database),
        )
        if not found:
            return
        matches = np.array(found, dtype=np.int64)
        for number in np.unique(matches[:, 0]).tolist():
            own = self._patterns[number]
            mine = matches[matches[:, 0] == number]
            mine = mine[np.argsort(mine[:, 1], kind="stable")]
            reach = np.maximum.accumulate(mine[:, 2])
            first = np.ones(len(mine), dtype=np.bool_)
            first[1:] = mine[1:, 1] >= reach[:-1]
            opened = np.flatnonzero(first)
            out.add(own.name, mine[opened, 1] + MARGIN, np.maximum.reduceat(mine[:, 2], opened) + MARGIN, own.score)
