"""Addresses of mail without an @: `zhang.san [at] example [dot] com`, and `zhang.san%40example.com` of URLs."""

from __future__ import annotations

import re
from typing import Final

_ENCODED = "%40"
_BRACKETED = (r"[\[({<] ?(?:at|@) ?[\])}>]", "(?:（|【) ?(?:at|@) ?(?:）|】)")
AT: Final = (*_BRACKETED, _ENCODED)
AT_AS_WORD: Final = r" at [0-9A-Za-z-]{1,63} dot [A-Za-z]"
"""Regular expressions of hyperscan without regard to case: of what stands between the two parts, and also where words
do, of what follows that.
"""

_OPEN, _CLOSE = r"(?:[\[({<]|（|【)", r"(?:[\])}>]|）|】)"
_AT = rf" ?(?:{'|'.join(_BRACKETED)}) ?| at |{_ENCODED}"
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
_OTHER_ENCODED = re.compile(rb".*%(?!2[Bb])[0-9A-Fa-f]{2}")
"""Of what stands before the address in a query."""
_SIGNS = re.compile(rf"(?P<at>{_AT})|(?P<plus>%2B)|(?P<dot>{_DOT})".encode(), re.IGNORECASE)
_PLAIN = {"at": b"@", "plus": b"+", "dot": b"."}
_UNDOUBTED = re.compile("|".join(AT).encode(), re.IGNORECASE)
_LAST_LABEL = re.compile(rf"{_LABEL}\Z".encode())
_LONGEST = 80
"""Bytes of a part."""


def around(content: bytes, at: int) -> tuple[int, int] | None:
    """Where the address begins and ends whose parts are on both sides of what stands here, if it is one."""
    at -= content[at - 1 : at] == b" "
    between = _BETWEEN.match(content, at)
    domain = _DOMAIN.match(content, between.end(), between.end() + _LONGEST) if between else None
    local = _LOCAL_BACKWARDS.match(content[max(at - _LONGEST, 0) : at][::-1]) if domain else None
    if not local or not domain:
        return None
    start = at - local.end()
    if content.startswith(_ENCODED.encode(), at) and (other := _OTHER_ENCODED.match(content, start, at)):
        start = other.end()
    return (start, domain.end()) if start < at else None


def is_undoubted(address: bytes) -> bool:
    """Whether what stands for its @ is no word of a sentence."""
    return _UNDOUBTED.search(address) is not None


def last_label(address: bytes) -> int:
    """Where it begins."""
    found = _LAST_LABEL.search(address)
    return len(address) if found is None else found.start()


def signs(address: bytes) -> list[tuple[int, int]]:
    """Where the words and brackets are that stand for its signs."""
    return [found.span() for found in _SIGNS.finditer(address)]


def plain(address: str) -> str:
    """As a program reads it."""
    text = _SIGNS.sub(lambda found: _PLAIN[found.lastgroup or ""], address.encode()).decode()
    return text if "@" in text else text.replace("#", "@", 1)
