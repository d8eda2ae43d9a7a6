"""What text that is not UTF-8 may be."""

from __future__ import annotations

import re

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_NON_ASCII = re.compile(rb"[\x80-\xff]+")
# GB 2312's punctuation (rows 1 to 3) and its 3,755 frequent characters (rows 16 to 55), of which Chinese text consists.
_FREQUENT = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
_ENOUGH = 0.8
_ENOUGH_ZEROS = 0.2


def is_gbk(text: bytes) -> bool:
    """Whether nearly all of it that is not ASCII reads as frequent Chinese characters in GBK."""
    foreign = _NON_ASCII.findall(text)
    size = sum(map(len, foreign))
    frequent = sum(2 * len(_FREQUENT.findall(run)) for run in foreign)
    return size > 1 and frequent >= _ENOUGH * size


def is_utf16(head: bytes) -> bool:
    """By its byte order mark, or as ASCII in it leaves every other byte zero, and no byte between."""
    if head.startswith(_UTF_16_MARKS):
        return True
    sample = head[:1024]
    zeros = sorted((sample[::2].count(0), sample[1::2].count(0)))
    return zeros[0] == 0 and zeros[1] > 1 and zeros[1] >= _ENOUGH_ZEROS * len(sample)
