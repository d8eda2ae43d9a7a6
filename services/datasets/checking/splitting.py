"""Cuts bytes into lines, and a JSON document into its members, in bounded memory whatever comes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# Possessive all of them: linear in every case.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# A whole string, or one that does not end in what is at hand, or a bracket.
_DEEP = re.compile(_STRING + rb'|["\[\]{}]', re.DOTALL)
_SHALLOW = re.compile(_STRING + rb'|["\[\]{},]', re.DOTALL)
_STRING_GOES_ON = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_SPACE = b" \t\r\n"


def _bracketed(levels: int) -> bytes:
    """An array or object that holds no more than so many levels of others."""
    inside = rb'[^"\[\]{}]++|' + _STRING
    return rb"[\[{](?:" + inside + (b"|" + _bracketed(levels - 1) if levels else b"") + rb")*+[\]}]"


# What most records are, found in one go; all else is looked at bracket by bracket.
_ORDINARY = re.compile(rb"[ \t\r\n]*+(" + _bracketed(3) + rb")[ \t\r\n]*+,", re.DOTALL)


class Line(NamedTuple):
    """`number` counts from 1; no `content` where it was longer than allowed. Without its line feed."""

    number: int
    content: bytes | None


def lines(chunks: Iterable[bytes], longest: int) -> Iterator[Line]:
    """The last one counts as a line only if it is not empty."""
    number, held, length = 1, bytearray(), 0
    for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            length += end - start
            if length > longest:
                yield Line(number, None)
            elif held:
                held += chunk[start:end]
                yield Line(number, bytes(held))
            else:
                yield Line(number, chunk[start:end])
            held.clear()
            number, length, start = number + 1, 0, end + 1
        length += len(chunk) - start
        if length <= longest:
            held += chunk[start:]
        else:
            held.clear()
    if length:
        yield Line(number, bytes(held) if length <= longest else None)


class Member(NamedTuple):
    """What stands between two commas of a document, with the line it begins in.

    No `content` where it was longer than allowed. It is not checked any further.
    """

    line: int
    content: bytes | None


class Document:
    """The outermost array or object of a JSON document. `problem` is set once its members were taken.

    It is `json_truncated`, `json_syntax` for what stands before its begin or after its end or ends it wrongly, or
    `too_deeply_nested`, which ends it too, where brackets lie deeper in each other than `deepest`; else none.
    """

    def __init__(self, chunks: Iterable[bytes], longest: int, deepest: int = 1_000) -> None:
        self._chunks = chunks
        self._longest = longest
        self._deepest = deepest
        self._rest = bytearray()  # of what was read: the member that is not complete
        self._at = 0  # up to here it was looked at
        self._depth = 0
        self._closes = b""
        self._in_string = False
        self._too_long_from: int | None = None  # the line in which a member begins that is dropped as it comes
        self._line = 1  # in which `_rest` begins
        self._members = 0
        self.problem: str | None = "json_truncated"

    def members(self) -> Iterator[Member]:
        for chunk in self._chunks:
            self._rest += chunk
            if self.problem is None:
                if self._rest.strip(_SPACE):
                    self.problem = "json_syntax"
                    return
                self._drop(len(self._rest))
                continue
            yield from self._take()
            if self._depth > self._deepest:
                self.problem = "too_deeply_nested"
                return
            if self._depth == 0 and self.problem is not None:
                if self.problem == "json_syntax" or self._rest.strip(_SPACE):
                    self.problem = "json_syntax"
                    return
                self._drop(len(self._rest))
            if self._rest[:1].isspace():
                self._drop(len(self._rest) - len(self._rest.lstrip(_SPACE)))
            if self._depth and self._too_long_from is None and len(self._rest) > self._longest:
                self._too_long_from = self._line
            if self._too_long_from is not None:
                self._drop(self._at)

    def _take(self) -> Iterator[Member]:
        while True:
            if self._in_string and not self._end_string():
                return
            if self._depth == 1 and self._at == 0 and self._too_long_from is None:
                yield from self._ordinary()
            found = (_SHALLOW if self._depth == 1 else _DEEP).search(self._rest, self._at)
            if found is None:
                self._at = len(self._rest)
                return
            token = found[0]
            self._at = found.end()
            if token == b'"':
                self._in_string = True
            elif token in (b"[", b"{"):
                self._depth += 1
                if self._depth > self._deepest:
                    return
                if self._depth == 1:
                    if self._rest[: self._at - 1].strip(_SPACE):
                        self._depth = 0
                        return
                    self._closes = b"]" if token == b"[" else b"}"
                    self._drop(self._at)
            elif token in (b"]", b"}"):
                if self._depth <= 1 and token != self._closes:
                    self._depth = 0
                    return
                self._depth -= 1
                if self._depth == 0:
                    yield from self._last()
                    return
            elif token == b",":
                yield self._member()

    def _ordinary(self) -> Iterator[Member]:
        taken = 0
        while (found := _ORDINARY.match(self._rest, taken)) is not None:
            self._line += self._rest.count(b"\n", taken, found.start(1))
            yield Member(self._line, found[1] if found.end() - 1 - found.start(1) <= self._longest else None)
            self._line += self._rest.count(b"\n", found.start(1), found.end())
            taken = found.end()
            self._members += 1
        del self._rest[:taken]

    def _end_string(self) -> bool:
        found = _STRING_GOES_ON.match(self._rest, self._at)
        assert found is not None
        self._at = found.end()  # at its quote, at a backslash whose sequel is still to come, or at the end
        if self._at < len(self._rest) and self._rest[self._at] == ord('"'):
            self._at += 1
            self._in_string = False
            return True
        return False

    def _member(self) -> Member:
        """Up to the comma or bracket that was just found, which goes too."""
        piece = bytes(self._rest[: self._at - 1])
        content = piece.lstrip(_SPACE)
        if self._too_long_from is not None:
            member = Member(self._too_long_from, None)
        else:
            line = self._line + piece.count(b"\n", 0, len(piece) - len(content))
            member = Member(line, content.rstrip(_SPACE) if len(content) <= self._longest else None)
        self._drop(self._at)
        self._too_long_from = None
        self._members += 1
        return member

    def _last(self) -> Iterator[Member]:
        self.problem = None
        if self._members or self._too_long_from is not None or self._rest[: self._at - 1].strip(_SPACE):
            yield self._member()
        if self._rest[self._at :].strip(_SPACE):
            self.problem = "json_syntax"
        self._drop(len(self._rest))

    def _drop(self, end: int) -> None:
        self._line += self._rest.count(b"\n", 0, end)
        del self._rest[:end]
        self._at = max(self._at - end, 0)
