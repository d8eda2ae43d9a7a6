"""What text that is not UTF-8 may be."""

from __future__ import annotations

import re

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_NON_ASCII = re.compile(rb"[\x80-\xff]+")
# GB 2312's punctuation (rows 1 to 3) and its 3,755 frequent characters (rows 16 to 55), of which Chinese text consists.
_FREQUENT = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
_ENOUGH = 0.8


def is_gbk(text: bytes) -> bool:
    """Whether nearly all of it that is not ASCII reads as frequent Chinese characters in GBK."""
    foreign = _NON_ASCII.findall(text)
    size = sum(map(len, foreign))
    frequent = sum(2 * len(_FREQUENT.findall(run)) for run in foreign)
    return size > 1 and frequent >= _ENOUGH * size


def is_utf16(head: bytes) -> bool:
    """By its byte order mark, or as every other byte of ASCII text is zero in it."""
    if head.startswith(_UTF_16_MARKS):
        return True
    sample = head[:1024]
    return (
        len(sample) > 3
        and any(sample[start::2].count(0) > 0.9 * len(sample[start::2]) for start in (0, 1))
        and (sample.count(0) < 0.6 * len(sample))
    )
