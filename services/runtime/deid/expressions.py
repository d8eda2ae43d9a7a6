"""The regular expressions of policies, on hyperscan: time grows with the text alone, whatever the expression."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from contracts.problems import Wrong
from services.runtime.deid.rules import Pattern

LONGEST_MATCH = 256
"""Bytes."""


def compiled(patterns: Sequence[Pattern]) -> Any:
    """The database of hyperscan that finds them, numbered in their order."""
    import hyperscan

    flags = hyperscan.HS_FLAG_SOM_LEFTMOST | hyperscan.HS_FLAG_UTF8
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[own.pattern.encode() for own in patterns],
        ids=list(range(len(patterns))),
        flags=[flags | hyperscan.HS_FLAG_CASELESS if own.ignore_case else flags for own in patterns],
    )
    return database


def unfit(patterns: Sequence[Pattern]) -> list[Wrong]:
    """The patterns that hyperscan does not take, that match nothing, or without bound."""
    import hyperscan

    wrongs = []
    for index, own in enumerate(patterns):
        at = f"/patterns/{index}/pattern"
        try:
            compiled([own])
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
    return wrongs


def _widths(own: Pattern) -> tuple[bool, float]:
    """Whether it matches nothing at all, and the most bytes that it can match; of hyperscan's syntax, Python's too."""
    from re import _parser  # type: ignore[attr-defined]

    least, most = _parser.parse(own.pattern).getwidth()
    one_byte = own.pattern.isascii() and not re.search(r"\.|\[\^|\\[DSWpPxuN]", own.pattern)
    return least == 0, most * (1 if one_byte else 4)
