"""The regular expressions of policies: of RE2, whose time grows with the text alone, and of bounded cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from contracts.problems import Wrong
from services.runtime.deid.automata import Automaton, TooLarge
from services.runtime.deid.rules import Pattern

MOST_MILLISECONDS = 90
"""Of the processor for 100 KB of text, for all patterns of a policy at worst."""

_Reason = tuple[str, str]
# Each in Chinese and in English.
_EMPTY = ("不得匹配空文本", "must not match empty text")
_LOOKS = (
    "不得使用反向引用、环视、原子组或占有量词：RE2 不支持",
    "must not use backreferences, lookaround, atomic groups or possessive quantifiers, which RE2 does not support",
)
_NOT_RE2 = ("不是 RE2 支持的正则表达式", "is not a regular expression of RE2")
_NOT_COMMON = (
    "不得使用 Python 的 re 不支持或与 RE2 读法不同的写法，如 \\p{…}、\\x{…}、\\Q…\\E、[[:alpha:]]、{,n}",
    "must not use what Python's re does not know or reads otherwise, as \\p{…}, \\x{…}, \\Q…\\E, [[:alpha:]] or {,n}",
)
_UNBOUNDED = (
    "重复次数必须有上限，否则每处匹配都可能查到文本末尾：用 {1,64} 代替 + 和 *",
    "must have bounded repetitions, as each match could look to the end of the text: write {1,64} for + and *",
)
_TOO_LARGE = ("展开后过大：请减少重复次数", "is too large with its repetitions written out: let it repeat less")


def of_re2(own: Pattern) -> str:
    return f"(?i:{own.pattern})" if own.ignore_case else own.pattern


def unfit(patterns: Mapping[int, Pattern]) -> list[Wrong]:
    """What is wrong with each pattern, by its number in the policy, or with the cost of all together."""
    faults = {number: _fault(own.pattern, own.ignore_case) for number, own in patterns.items()}
    if wrongs := [Wrong(f"/patterns/{number}/pattern", *fault) for number, fault in faults.items() if fault]:
        return wrongs
    searching = replacing = 0.0
    for own in patterns.values():
        costs = _costs(own.pattern, own.ignore_case)
        # A text is searched by each and replaced once.
        searching, replacing = searching + costs[0], max(replacing, costs[1])
        if searching + replacing > MOST_MILLISECONDS:  # the rest is not worth the time to look at it
            return [_too_slow(searching + replacing)]
    return []


def _too_slow(milliseconds: float) -> Wrong:
    zh = f"各模式对 100 KB 文本合计至少可能用时 {milliseconds:.0f} 毫秒，上限为 {MOST_MILLISECONDS} 毫秒："
    zh += "请缩小重复次数，使匹配不过短，或使重复部分不含其开头，如以 《[^《》]{1,40}》 代替 《[^》]{1,40}》"
    en = f"could take {milliseconds:.0f} ms together or more for 100 KB of text, {MOST_MILLISECONDS} ms at most are "
    en += "allowed: let them repeat less, match more than a few bytes, or not repeat what they begin with, as in "
    return Wrong("/patterns", zh, en + "<[^<>]{1,40}>")


@lru_cache(maxsize=1024)
def _costs(expression: str, ignore_case: bool) -> tuple[float, float]:
    return Automaton(expression, ignore_case=ignore_case).costs()


@lru_cache(maxsize=1024)
def _fault(expression: str, ignore_case: bool) -> _Reason | None:
    if "[:" in expression or re.search(r"\{,\d", expression):  # sets and counts for Python, something else for RE2
        return _NOT_COMMON
    try:
        automaton = Automaton(expression, ignore_case=ignore_case)
        if automaton.empty:
            return _EMPTY
        if not automaton.bounded:
            return _UNBOUNDED
        automaton.written_out()
    except TooLarge:
        return _TOO_LARGE
    except ValueError:
        return _LOOKS
    except (re.error, OverflowError, RecursionError):
        return _NOT_COMMON if _is_of_re2(expression) else _NOT_RE2
    return None if _is_of_re2(expression) else _NOT_RE2


def _is_of_re2(expression: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), expression)
    except (pa.ArrowInvalid, UnicodeEncodeError):
        return False
    return True
