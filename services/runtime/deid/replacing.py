"""What is put in the place of each span, by the action of its type."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.runtime.deid.buffers import Buffer, Bytes, Offsets
from services.runtime.deid.keys import DerivedKeys
from services.runtime.deid.policies import Policy
from services.runtime.deid.pseudonyms.numbers import Numbers
from services.runtime.deid.spans import Spans


class Edits:
    """A buffer after its spans were replaced: `content` by as many bytes in place, `pieces` (by number of the span)
    by text of another length.
    """

    def __init__(self, buffer: Buffer, spans: Spans, content: Bytes, pieces: dict[int, bytes]) -> None:
        self._buffer, self._spans, self._content, self._pieces = buffer, spans, content, pieces

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """Type, original and what took its place, in order."""
        spans, after = self._spans, self._content.tobytes()
        for index in range(len(spans)):
            start, end = int(spans.starts[index]), int(spans.ends[index])
            new = self._pieces.get(index, after[start:end])
            yield spans.names[spans.kinds[index]], self._buffer.content[start:end].decode(), new.decode()

    def parts(self, starts: Offsets, ends: Offsets) -> Iterator[bytes]:
        """What became of each area of the buffer."""
        after = self._content.tobytes()
        numbers = sorted(self._pieces)
        places = [(int(self._spans.starts[n]), int(self._spans.ends[n]), self._pieces[n]) for n in numbers]
        following = 0
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if following == len(places) or places[following][0] >= end:
                yield after[start:end]
                continue
            joined, at = [], start
            while following < len(places) and places[following][0] < end:
                first, last, new = places[following]
                joined += [after[at:first], new]
                at = last
                following += 1
            yield b"".join((*joined, after[at:end]))


class Replacer:
    """Replaces by one policy under one key."""

    def __init__(self, policy: Policy, keys: DerivedKeys) -> None:
        self._policy = policy
        self._numbers = Numbers(keys)

    def replace(self, buffer: Buffer, spans: Spans) -> Edits:
        content = buffer.bytes.copy()
        places, owners = digit_places(buffer.bytes, spans)
        lengths = np.bincount(owners, minlength=len(spans))
        for n in np.unique(lengths):
            chosen = (lengths == n)[owners]
            positions = places[chosen].reshape(-1, n)
            base = np.where(buffer.bytes[positions] >= 0x80, np.uint8(0x90), np.uint8(0x30))
            rows = self._numbers.digits(buffer.bytes[positions] - base, b"NUMBER")
            content[positions] = rows + base
        return Edits(buffer, spans, content, {})


def digit_places(content: Bytes, spans: Spans) -> tuple[Offsets, Offsets]:
    """Where the digits of all spans stand (of a full-width one its last byte), and the number of the span of each."""
    lengths = spans.ends - spans.starts
    owners = np.repeat(np.arange(len(spans)), lengths)
    places = np.arange(len(owners)) + np.repeat(spans.starts - (np.cumsum(lengths) - lengths), lengths)
    found = content[places]
    is_digit = (found - np.uint8(0x30)) < 10
    is_digit |= ((found - np.uint8(0x90)) < 10) & (content[places - 1] == 0xBC)
    return places[is_digit], owners[is_digit]
