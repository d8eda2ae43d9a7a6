"""The regular expressions of policies, on hyperscan: time grows with the text alone, whatever the expression."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from contracts.problems import Wrong
from services.runtime.deid.rules import Pattern

LONGEST_MATCH = 256
"""Bytes."""

# Each in Chinese and in English.
_EMPTY = ("不得匹配空文本", "must not match empty text")
_NOT_LINEAR = ("不是线性时间引擎支持的正则表达式", "is not a regular expression of the linear-time engine")
_NOT_COMMON = (
    "不得使用 Python 的 re 不支持或读法不同的写法，如 \\p{…}、\\x{…}、\\Q…\\E、[[:alpha:]]",
    "must not use what Python's re does not know or reads otherwise, such as \\p{…}, \\x{…}, \\Q…\\E or [[:alpha:]]",
)
_UNBOUNDED = (
    f"匹配长度必须有上限，且不超过 {LONGEST_MATCH} 字节：用 {{1,64}} 代替 + 和 *",
    f"must have matches of at most {LONGEST_MATCH} bytes: write {{1,64}} for + and *",
)


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
        except (hyperscan.error, hyperscan.HyperscanError, UnicodeEncodeError) as error:
            wrongs.append(Wrong(at, *_EMPTY) if "empty" in str(error) else Wrong(at, *_NOT_LINEAR))
        except (re.error, OverflowError):
            wrongs.append(Wrong(at, *_NOT_COMMON))
        else:
            if empty:
                wrongs.append(Wrong(at, *_EMPTY))
            elif longest > LONGEST_MATCH:
                wrongs.append(Wrong(at, *_UNBOUNDED))
    return wrongs


def _widths(own: Pattern) -> tuple[bool, float]:
    """Whether it matches nothing at all, and the most bytes that it can match; of hyperscan's syntax, Python's too."""
    from re import _parser  # type: ignore[attr-defined]

    if "[:" in own.pattern:
        raise re.error("a class of POSIX, which Python reads as a set of these characters")
    least, most = _parser.parse(own.pattern).getwidth()
    one_byte = own.pattern.isascii() and not re.search(r"\.|\[\^|\\[DSWpPxuN]", own.pattern)
    return least == 0, most * (1 if one_byte else 4)
