"""Many texts in one buffer of UTF-8, which is searched once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from services.runtime.deid.escapes import Escapes

Offsets = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]


APART = b"\0"
"""Between texts that say nothing of each other: no recogniser looks beyond it, as it would beyond a line's end."""


class Runs:
    """Maximal runs of ASCII digits: offsets of their starts and ends, and how many digits each has."""

    def __init__(self, starts: Offsets, ends: Offsets) -> None:
        self.starts, self.ends = starts, ends
        self.digits = ends - starts

    @classmethod
    def of(cls, content: Bytes) -> Runs:
        edges, is_digit = [], np.zeros(BLOCK + 1, dtype=np.bool_)
        for start in range(0, len(content), BLOCK):
            block = content[start : start + BLOCK]
            here = is_digit[: len(block) + 1]  # and before it the last of the block before
            above = np.subtract(block, np.uint8(ord("0")), out=here[1:].view(np.uint8))
            np.less(above, 10, out=here[1:])
            edges.append(np.flatnonzero(here[1:] != here[:-1]) + start)
            is_digit[0] = here[-1]
        every = np.concatenate([*edges, [len(content)] * int(is_digit[0])]).astype(np.int64, copy=False)
        return cls(every[::2], every[1::2])

    def take(self, chosen: Flags) -> Runs:
        return Runs(self.starts[chosen], self.ends[chosen])

    def digits_ahead(self, joined: Flags) -> Offsets:
        """How many digits each run has together with those that it is joined to, one after the other."""
        lasts = np.flatnonzero(~joined)
        last = lasts[np.searchsorted(lasts, np.arange(len(self.starts)))]
        total = np.cumsum(self.digits)
        found: Offsets = total[last] - total + self.digits
        return found


BLOCK = 128 * 1024
"""Bytes that are looked at at a time: what is made of them stays within the cache of a core."""


class Areas(NamedTuple):
    """Where text is, in ascending order and apart from each other; and for each area where its field's name stands.

    An area without a name has an empty one.
    """

    starts: Offsets
    ends: Offsets
    name_starts: Offsets
    name_ends: Offsets

    def take(self, chosen: Flags | Offsets) -> Areas:
        return Areas(*(column[chosen] for column in self))

    @classmethod
    def plain(cls, starts: Offsets, ends: Offsets) -> Areas:
        nowhere = np.zeros(len(starts), dtype=np.int64)
        return cls(starts, ends, nowhere, nowhere)

    @classmethod
    def joined(cls, texts: Sequence[bytes]) -> Areas:
        """Of these, without names, where APART stands between each and the next."""
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        ends = np.cumsum(lengths + 1) - 1
        return cls.plain(ends - lengths, ends)


class Buffer:
    """Bytes with areas of text.

    `bytes` is what is searched: full-width digits, letters and a few signs are one ASCII byte each there, so that a
    value is the same in both widths, and so is each blank of Unicode or HTML between digits. `areas` are in offsets of
    `bytes`; `original` turns those into offsets of `content`. `escapes` of it are signs there, too. `floors`: from
    where on words speak for what is in each area, which is its start where nothing else is given. `documents`: where
    those begin that say nothing of each other, each area by itself where nothing else is given. `runs`: of the digits
    of `content`, and `wide`: where full-width forms may begin in it, if known already.
    """

    def __init__(
        self,
        content: bytes,
        areas: Areas,
        escapes: Escapes | None = None,
        floors: Offsets | None = None,
        documents: Offsets | None = None,
        runs: Runs | None = None,
        wide: Offsets | None = None,
    ) -> None:
        self.content = content
        self.raw: Bytes = np.frombuffer(content, dtype=np.uint8)
        self.raw_areas = areas
        self.escapes = escapes
        numbered = escapes is not None and escapes.numbered
        self._shown, dropped = (self.raw, None) if escapes is None else (escapes.shown, escapes.dropped)
        self.bytes, self._origin = _narrowed(self._shown, dropped, None if numbered else wide)
        same = self._origin is None and not numbered
        self.runs = runs if runs is not None and same else Runs.of(self.bytes)
        blanks, inner = _blanks(self.bytes, self.runs)
        if len(blanks):
            self.bytes, before = _shortened(self.bytes, blanks, ord(" "), inner)
            self._origin = before if self._origin is None else self._origin[before]
            self.runs = Runs.of(self.bytes)
        self.areas = areas
        self.floors = areas.starts if floors is None else floors
        self.documents = areas.starts if documents is None else documents
        if self._origin is not None:
            origin = self._origin
            self.areas = Areas(*(np.searchsorted(origin, offsets) for offsets in areas))
            self.floors = np.searchsorted(origin, self.floors)
            self.documents = np.searchsorted(origin, self.documents)

    @cached_property
    def text(self) -> bytes:
        """The same as `bytes`, for what looks at pieces of it."""
        return self.bytes.tobytes()

    def area_of(self, starts: Offsets) -> Offsets:
        """The number of the area that each of these offsets of `bytes` is in; each is in one."""
        return np.searchsorted(self.areas.starts, starts, side="right") - 1

    def original(self, offsets: Offsets) -> Offsets:
        return offsets if self._origin is None else self._origin[offsets]

    def places(self, originals: Offsets) -> Offsets:
        """Offsets of `bytes` for those of `content`."""
        return originals if self._origin is None else np.searchsorted(self._origin, originals)

    def outside_escapes(self, starts: Offsets, ends: Offsets) -> tuple[Offsets, Offsets]:
        """What is left of stretches where they may neither begin nor end in an escape; all in offsets of `bytes`."""
        if self.escapes is None:
            return starts, ends
        starts, ends = self.escapes.over(self.original(starts)), self.escapes.begins(self.original(ends))
        return self.places(starts), self.places(ends)

    def rewritten(self, changed: Bytes) -> Bytes:
        """The original content with what `changed`, as long as `bytes`, has other than `bytes`, in its old widths.

        `changed` is used up.
        """
        content = changed if self._origin is None else self._widened(changed, self._origin)
        if self.escapes is not None:
            self.escapes.put_back(content, self.raw)
        return content

    def _widened(self, changed: Bytes, origin: Offsets) -> Bytes:
        content = self._shown.copy()
        places = np.flatnonzero(changed != self.bytes)
        new, at = changed[places], origin[places]
        wide = (content[at] == 0xEF) & (new < 0x80)
        content[at[~wide]] = new[~wide]
        at, new = at[wide], new[wide]
        content[at + 1] = np.where(new < 0x60, 0xBC, 0xBD)
        content[at + 2] = np.where(new < 0x60, new + np.uint8(0x60), new + np.uint8(0x20))
        return content


def _narrowed(
    content: Bytes, dropped: Offsets | None = None, wide: Offsets | None = None
) -> tuple[Bytes, Offsets | None]:
    """Full-width forms as ASCII and without the bytes `dropped`, and for each byte (and the end) its offset before;
    None where nothing changed.
    """
    first = np.flatnonzero(content[:-2] == 0xEF) if wide is None else wide
    second, third = content.take(first + 1), content.take(first + 2)
    narrow = np.where(second == 0xBC, _NARROW[0].take(third), _NARROW[1].take(third) * (second == 0xBD))
    first, narrow = first[narrow > 0], narrow[narrow > 0]
    if not len(first) and (dropped is None or not len(dropped)):
        return content, None
    return _shortened(content, first, narrow, first + 1, first + 2, *(() if dropped is None else (dropped,)))


def _shortened(content: Bytes, places: Offsets, new: Any, *left_out: Offsets) -> tuple[Bytes, Offsets]:
    """With other bytes at these places and without some, and for each byte (and the end) its offset before."""
    kept = np.ones(len(content) + 1, dtype=np.bool_)
    for some in left_out:
        kept[some] = False
    replaced = content.copy()
    replaced[places] = new
    return replaced[kept[:-1]], np.flatnonzero(kept)


_SPELLED_BLANKS = tuple(
    spelled.encode()
    for spelled in (
        *"\u00a0\u00ad\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u202f\u205f\u2060\u3000\ufeff",
        "&nbsp;", "&ensp;", "&emsp;",
    )
)  # fmt: skip
"""Spaces of any width, those of none, and the hyphen that is not seen."""
_FIRST_OF_BLANKS = np.isin(np.arange(256), [blank[0] for blank in _SPELLED_BLANKS])


def _blanks(content: Bytes, runs: Runs) -> tuple[Offsets, Offsets]:
    """Where one of these is all that stands between two runs, and the offsets of its bytes but the first."""
    before = np.flatnonzero(_FIRST_OF_BLANKS[content[runs.ends[:-1]]])
    at = runs.ends[before]
    gap = runs.starts[before + 1] - at
    starts, inner = [at[:0]], [at[:0]]
    for size in {len(blank) for blank in _SPELLED_BLANKS}:
        some = at[gap == size]
        spelled = content[some[:, None] + np.arange(size)]
        known = np.frombuffer(b"".join(blank for blank in _SPELLED_BLANKS if len(blank) == size), dtype=np.uint8)
        some = some[(spelled[:, None] == known.reshape(-1, size)).all(axis=2).any(axis=1)]
        starts.append(some)
        inner.append((some[:, None] + np.arange(1, size)).ravel())
    return np.concatenate(starts), np.concatenate(inner)


def narrow(text: bytes) -> bytes:
    """The text with full-width forms as ASCII."""
    return _narrowed(np.frombuffer(text, dtype=np.uint8))[0].tobytes()


def _narrow_forms() -> Bytes:
    """By the second (its last bit) and third byte of UTF-8: the ASCII of U+FF01 to U+FF5E, or 0."""
    forms = np.zeros((2, 256), dtype=np.uint8)
    for character in "+-./0123456789@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz":
        _, second, third = chr(ord(character) + 0xFEE0).encode()
        forms[second & 1, third] = ord(character)
    return forms


_NARROW = _narrow_forms()
