"""How values are written: where in them digits stand, and letters where those count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import Bytes, Offsets
from services.runtime.deid.reaches import is_alphanumeric, is_digit, put, windows


class Layout(NamedTuple):
    """N values of one length, of which the same columns are digits (and letters): `chosen` of those that were given."""

    chosen: Offsets
    starts: Offsets
    whole: Bytes
    columns: Offsets

    @property
    def rows(self) -> Bytes:
        """The digits (and letters), N x n."""
        return self.whole if self._plain else self.whole[:, self.columns]

    def write(self, changed: Bytes, rows: Bytes) -> None:
        """Others in their places, N x n."""
        if not self._plain:
            written = self.whole.copy()
            written[:, self.columns] = rows
            rows = written
        put(changed, self.starts, rows)

    @property
    def _plain(self) -> bool:
        return len(self.columns) == int(self.whole.shape[1])


def layouts(content: Bytes, starts: Offsets, ends: Offsets, *, letters: bool = False) -> Iterator[Layout]:
    """The values by their layouts, of which types with few separators in few places have few."""
    lengths = ends - starts
    for length in np.flatnonzero(np.bincount(lengths)).tolist():
        chosen = np.flatnonzero(lengths == length)
        whole = windows(content, starts[chosen], length)
        counted = is_alphanumeric(whole) if letters else is_digit(whole)
        while len(chosen):
            same = (counted == counted[0]).all(axis=1)
            yield Layout(chosen[same], starts[chosen[same]], whole[same], np.flatnonzero(counted[0]))
            chosen, whole, counted = chosen[~same], whole[~same], counted[~same]
