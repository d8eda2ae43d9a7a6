"""Why a content is no JSON, or no UTF-8, and where that shows."""

from __future__ import annotations

import re

import msgspec
import numpy as np

_LINE = msgspec.json.Decoder(msgspec.Raw)
_MUCH = 256 * 1024

NOT_UTF8 = ("不是有效的 UTF-8 文本", "is not valid UTF-8")


def json_fault(line: bytes) -> tuple[str, str] | None:
    if fault := unicode_fault(line):
        return fault
    try:
        _LINE.decode(line)
    except RecursionError:
        return "嵌套过深", "is nested too deeply"
    except ValueError:
        if _HALF_A_PAIR.search(_complaint(line)):
            return "转义的代理字符不成对", "has half of an escaped surrogate pair"
        return "不是有效的 JSON", "is not valid JSON"
    return None


def _complaint(content: bytes) -> str:
    """What msgspec says of a content that is no JSON. With blanks after it, what ends too early is told from what has
    no more than a few bytes to come.
    """
    try:
        _LINE.decode(content + b" " * _LONGEST_ESCAPE)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


_HALF_A_PAIR = re.compile("surrogate pair|end of hex escape")
_LONGEST_ESCAPE = len(r"\ud83d\ude00")


def line_of_fault(document: bytes) -> int:
    """Where it shows that it is no JSON, from 0; what is missing does at the end."""
    at = len(document.rstrip())
    try:
        document.decode()
    except UnicodeDecodeError as error:
        at = error.start
    else:
        complaint = _complaint(document)
        told = _PLACE.search(complaint)
        at = int(told[1]) - ("trailing" in complaint) if told else at
    return document.count(b"\n", 0, at)


_PLACE = re.compile(r"\(byte ([0-9]+)\)")


def unicode_fault(content: bytes) -> tuple[str, str] | None:
    return None if is_utf8(content) else NOT_UTF8


def is_utf8(content: bytes) -> bool:
    """Of much text Arrow finds it out in half the time, as it builds none."""
    if len(content) < _MUCH:
        try:
            content.decode()
        except UnicodeDecodeError:
            return False
        return True
    import pyarrow as pa  # only where it is worth its 0.2 s

    offsets = np.array([0, len(content)], dtype=np.int64)
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(content)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
