"""Numbers of JSON that a text holds: what took the place of one and is none becomes a string, so that it stays JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from services.runtime.deid.buffers import Buffer, Offsets
from services.runtime.deid.exponents import Place
from services.runtime.deid.reaches import among_bytes, is_digit
from services.runtime.deid.replacing import Edits

_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_IS_NUMBER = re.compile(_NUMBER)
_BLANKS = rb"(?:[ \t\r\n]|\\++[nrt])*+"
_BLANKS_BACKWARDS = rb"(?:[ \t\r\n]|[nrt]\\++)*+"
_BEFORE = re.compile(rb'([-+.0-9eE]*+)%b(?::%b"(\\*+)|[\[,])' % (_BLANKS_BACKWARDS, _BLANKS_BACKWARDS))
"""Backwards, from within a number: its beginning, and what tells that it is one of JSON."""
_REST = re.compile(rb"[-+.0-9eE]*+")
_AFTER = re.compile(_BLANKS + rb"(?:[,\]}]|\Z)")
_FARTHEST = 256
"""Bytes before a number in which what tells that it is one of JSON begins."""
_DIGITS = "0123456789"
"""A phone may be part of a longer number, without the country code."""
_BESIDE, _BEHIND = among_bytes(_DIGITS + "-+.:[, \t\r\n\\nrt"), among_bytes(_DIGITS + ".eE,]} \t\r\n\\")


def quotes(edits: Edits, buffer: Buffer, backslashes: int) -> list[Place]:
    """Those that such numbers are to be put in, as the names beside them are, in ascending order. `backslashes`: before
    the quotes of a document that is a whole area.
    """
    content, places = buffer.content, list[Place]()
    chosen = _candidates(edits, buffer)
    area = buffer.area_of(edits.spans.starts[chosen])
    bounds = buffer.original(buffer.floors[area]), buffer.raw_areas.ends[area]
    columns = chosen, area, *bounds, edits.starts[chosen], edits.ends[chosen]
    elements, searched = dict[int, int](), -1
    for index, number, floor, limit, start, end in zip(*(column.tolist() for column in columns), strict=True):
        before = _BEFORE.match(content[max(floor, start - _FARTHEST) : start][::-1])
        if before is None or (places and start - before.end(1) < places[-1][0]):
            continue
        first, last = start - before.end(1), _REST.match(content, end, limit).end()  # type: ignore[union-attr]
        if not _IS_NUMBER.fullmatch(content, first, last) or not _AFTER.match(content, last, limit):
            continue
        if _IS_NUMBER.fullmatch(_written(edits, index, first, last)):
            continue
        if before[2] is None and number != searched:
            elements, searched = dict(_elements(content[floor:limit], backslashes)), number
        before_quote = elements.get(first - floor) if before[2] is None else _of_depth(before[2])
        if before_quote is not None:
            quote = b"\\" * before_quote + b'"'
            places += [(first, first, quote), (last, last, quote)]
    return places


def _candidates(edits: Edits, buffer: Buffer) -> Offsets:
    """Spans of digits between signs that JSON has there, too, which did not become a number."""
    text, starts, ends = buffer.bytes, edits.spans.starts, edits.spans.ends
    at = np.flatnonzero(_BESIDE[text[starts - 1]] & _BEHIND[text.take(ends, mode="clip")] & is_digit(text[starts]))
    whole, pieces = edits.whole, edits.pieces
    columns = at.tolist(), edits.starts[at].tolist(), edits.ends[at].tolist()
    kept = [
        index in pieces or whole.startswith(b"0", start) or not whole[start:end].isdigit()
        for index, start, end in zip(*columns, strict=True)
    ]
    return at[np.array(kept, dtype=np.bool_)]


def _written(edits: Edits, index: int, first: int, last: int) -> bytes:
    """What a stretch became in which this span is, maybe not alone."""
    written, at = b"", first
    while index and edits.ends[index - 1] > first:
        index -= 1
    while index < len(edits.starts) and edits.starts[index] < last:
        if index in edits.pieces:
            written += edits.whole[at : edits.starts[index]] + edits.pieces[index]
            at = int(edits.ends[index])
        index += 1
    return written + edits.whole[at:last]


def _of_depth(backslashes: bytes) -> int:
    """How many of them belong to the quote after them: one less than a power of two, as each depth doubles them."""
    count = len(backslashes)
    return (count ^ (count + 1)) >> 1


_ARRAY = re.compile(rb'(?:(\\*+)"%b(:)?|\A)%b\[' % (_BLANKS, _BLANKS))


def _elements(text: bytes, backslashes: int) -> Iterator[tuple[int, int]]:
    """The numbers in arrays that have a name, or are a whole document: where each begins, and the backslashes before
    quotes there.
    """
    searched = dict[int, int]()
    for found in _ARRAY.finditer(text):
        outside, name = found[1], found[2] is not None
        inside = backslashes if outside is None else _of_depth(outside)
        if outside is not None and not name:
            inside = 2 * inside + 1
        if found.start() < searched.get(inside, 0):
            continue
        numbers, searched[inside], closed = _read(text, found.end() - 1, inside)
        if closed and (name or _ends(text, searched[inside], outside)):
            yield from ((number, inside) for number in numbers)


def _ends(text: bytes, at: int, opened: bytes | None) -> bool:
    """Whether the string that a document stands in does, or the text."""
    at = re.compile(_BLANKS).match(text, at).end()  # type: ignore[union-attr]
    return at == len(text) if opened is None else text.startswith(opened + b'"', at)


def _read(text: bytes, at: int, backslashes: int) -> tuple[list[int], int, bool]:
    """The numbers that are elements of an array, itself or within, up to where it ends, if it does."""
    token, opened, numbers = _token(backslashes), bytearray(), list[int]()
    while found := token.match(text, at):
        at = found.end()
        sign = text[at - 1 : at]
        if found[1]:
            if opened.endswith(b"["):
                numbers.append(found.start(1))
        elif found[2]:
            opened += sign
        elif found[3]:
            opened.pop()
            if not opened:
                return numbers, at, True
    return [], at, False


@lru_cache(maxsize=64)
def _token(backslashes: int) -> re.Pattern[bytes]:
    """Of JSON with so many before its quotes: numbers, what opens, what closes, and anything else."""
    more = 2 * backslashes + 2
    quote = rb'(?:\\{%d})*+\\{%d}"' % (more, backslashes)
    inner = rb'(?:\\{%d})*+\\{%d}"' % (more, more - 1)
    string = rb'\\{%d}"(?:[^"\\]|%b|\\++(?!["\\]))*+%b' % (backslashes, inner, quote)
    return re.compile(rb"%b(?:(%b)|([\[{])|([\]}])|[,:]|true|false|null|%b)" % (_BLANKS, _NUMBER, string))
