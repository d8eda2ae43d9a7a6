"""Which strings of JSON documents stand under fields that were asked for, told level by level of objects."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets


class Names:
    """Strings between quotes, of which `is_key` tell the names of fields; `escaped`: those with a backslash.

    `document`: the number of the one that each is in. `quotes`: all that open or close strings.
    """

    def __init__(
        self,
        raw: Bytes,
        quotes: Offsets,
        opened: Offsets,
        closed: Offsets,
        is_key: Flags,
        escaped: Flags,
        document: Offsets,
    ) -> None:
        self._raw, self._opened, self._closed = raw, opened, closed
        self._is_key, self._escaped, self._document = is_key, escaped, document
        self._depth = _depths(raw, quotes, opened)
        self._above: dict[int, Offsets] = {}

    def under(self, fields: Sequence[str]) -> tuple[Flags, set[str]]:
        """The strings under one of the fields, but not those names themselves; and the fields that are there, whatever
        they hold.

        A field is told by names from the outermost on, joined by dots, which names may have themselves: how long a name
        is tells how much of the field it is, so that there is one way only to read each path.
        """
        wanted, found = np.zeros(len(self._opened), dtype=np.bool_), set[str]()
        for field in fields:
            name = field.encode()
            level, keys = 1, self._keys(1)
            taken = np.zeros(len(keys), dtype=np.int64)
            while len(keys):
                ends = self._ends(name, keys, taken)
                whole = np.zeros(len(wanted), dtype=np.bool_)
                whole[keys[ends == len(name)]] = True
                if whole.any():
                    found.add(field)
                    above = self._last_keys(level)
                    wanted |= (self._depth >= level) & (above >= 0) & whole[above] & ~whole
                level, keys, taken = self._below(level, keys, np.where((ends >= 0) & (ends < len(name)), ends + 1, -1))
        return wanted, found

    def _below(self, level: int, keys: Offsets, taken: Offsets) -> tuple[int, Offsets, Offsets]:
        """The keys of the next level under those of which the field goes on, and from where on it does for each."""
        if not (taken >= 0).any():
            return level, keys[:0], taken[:0]
        by_key = np.full(len(self._opened) + 1, -1)  # and for what is under none
        by_key[keys] = taken
        below = self._keys(level + 1)
        taken = by_key[self._last_keys(level)[below]]
        return level + 1, below[taken >= 0], taken[taken >= 0]

    def _keys(self, level: int) -> Offsets:
        return np.flatnonzero(self._is_key & (self._depth == level))

    def _last_keys(self, level: int) -> Offsets:
        """The last key of that level before each string, or itself, in its document; -1 where there is none."""
        if level not in self._above:
            last = np.full(len(self._opened), -1)
            keys = self._keys(level)
            last[keys] = keys
            last = np.maximum.accumulate(last)
            self._above[level] = np.where(self._document[last] == self._document, last, -1)
        return self._above[level]

    def _ends(self, name: bytes, keys: Offsets, starts: Offsets) -> Offsets:
        """Where in the name of the field each key ends that is the part of it from `starts` to a dot or the end."""
        found = np.full(len(keys), -1)
        dots = [at for at, sign in enumerate(name) if sign == ord(".")]
        for start in np.unique(starts).tolist():
            here = np.flatnonzero(starts == start)
            for end in (end for end in (*dots, len(name)) if end >= start):
                found[here[self._are(name[start:end], keys[here])]] = end
            for at in here[self._escaped[keys[here]]].tolist():
                token = self._raw[self._opened[keys[at]] : self._closed[keys[at]] + 1].tobytes()
                key = msgspec.json.decode(token, type=str).encode()
                end = start + len(key)
                if name.startswith(key, start) and name[end : end + 1] in (b"", b"."):
                    found[at] = end
        return found

    def _are(self, name: bytes, keys: Offsets) -> Flags:
        starts = self._opened[keys] + 1
        same = np.asarray(self._closed[keys] - starts == len(name))
        fits = np.flatnonzero(same)
        window = self._raw[starts[fits][:, None] + np.arange(len(name))]
        same[fits] = (window == np.frombuffer(name, dtype=np.uint8)).all(axis=1)
        return same


def _depths(raw: Bytes, quotes: Offsets, opened: Offsets) -> Offsets:
    """In how many objects each string is."""
    braces = np.flatnonzero((raw == ord("{")) | (raw == ord("}")))
    braces = braces[np.searchsorted(quotes, braces) % 2 == 0]
    level = np.cumsum(np.where(raw[braces] == ord("{"), 1, -1))
    before = np.searchsorted(braces, opened)
    return np.where(before > 0, level[np.maximum(before - 1, 0)] if len(level) else 0, 0)
