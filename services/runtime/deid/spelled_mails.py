"""Addresses of mail that are written so that programs should not find them: `zhang.san [at] example [dot] com`."""

from __future__ import annotations

import re
from typing import Final

AT: Final = (r"[\[({<] ?(?:at|@) ?[\])}>]", "(?:（|【) ?(?:at|@) ?(?:）|】)")
AT_AS_WORD: Final = r" at [0-9A-Za-z-]{1,63} dot [A-Za-z]"
"""Regular expressions of hyperscan without regard to case: of what stands between the two parts, and also where words
do, of what follows that.
"""

_OPEN, _CLOSE = r"(?:[\[({<]|（|【)", r"(?:[\])}>]|）|】)"
_AT = rf" ?(?:{'|'.join(AT)}) ?| at "
_DOT = rf" ?{_OPEN} ?(?:dot|\.) ?{_CLOSE} ?| dot "
_LABEL = "[0-9A-Za-z-]{1,63}"
_BETWEEN = re.compile(_AT.encode(), re.IGNORECASE)
_LOCAL_SIGNS = rb"[0-9A-Za-z_%+-]"
_DOT_BACKWARDS = rb" ?(?:[\])}>]|%b|%b) ?(?:tod|\.) ?(?:[\[({<]|%b|%b) ?| tod " % tuple(
    bracket.encode()[::-1] for bracket in "）】（【"
)
_LOCAL_BACKWARDS = re.compile(rb"%b+(?:(?:\.|%b)%b+)*" % (_LOCAL_SIGNS, _DOT_BACKWARDS, _LOCAL_SIGNS), re.IGNORECASE)
"""Read from its end, as where it begins is not known."""
_DOMAIN = re.compile(rf"{_LABEL}(?:(?:\.|{_DOT}){_LABEL}){{1,8}}".encode(), re.IGNORECASE)
_SIGNS = re.compile(rf"(?P<at>{_AT})|(?P<dot>{_DOT})".encode(), re.IGNORECASE)
_BRACKETS = re.compile("|".join(AT).encode(), re.IGNORECASE)
_LAST_LABEL = re.compile(rf"{_LABEL}\Z".encode())
_LONGEST = 80
"""Bytes of a part."""


def around(content: bytes, at: int) -> tuple[int, int] | None:
    """Where the address begins and ends whose parts are on both sides of what stands here, if it is one."""
    at -= content[at - 1 : at] == b" "
    between = _BETWEEN.match(content, at)
    domain = _DOMAIN.match(content, between.end(), between.end() + _LONGEST) if between else None
    local = _LOCAL_BACKWARDS.match(content[max(at - _LONGEST, 0) : at][::-1]) if domain else None
    return (at - local.end(), domain.end()) if local and domain else None


def has_brackets(address: bytes) -> bool:
    """Around what stands for its @."""
    return _BRACKETS.search(address) is not None


def last_label(address: bytes) -> int:
    """Where it begins."""
    found = _LAST_LABEL.search(address)
    return len(address) if found is None else found.start()


def signs(address: bytes) -> list[tuple[int, int]]:
    """Where the words and brackets are that stand for its signs."""
    return [found.span() for found in _SIGNS.finditer(address)]


def plain(address: str) -> str:
    """As a program reads it."""
    text = _SIGNS.sub(lambda found: b"@" if found["at"] else b".", address.encode()).decode()
    return text if "@" in text else text.replace("#", "@", 1)
