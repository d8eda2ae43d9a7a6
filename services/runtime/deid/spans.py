"""What was found: for each span its type, its place, and how much speaks for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Offsets


class Spans:
    """N spans as columns: `kinds` are indices into `names`; `starts`, `ends` are byte offsets; `scores` 0 to 1;
    `checked`: a checksum holds; `told`: a word, a field or a country code tells it, as its form alone does not.
    """

    def __init__(
        self,
        names: Sequence[str],
        kinds: NDArray[np.int16],
        starts: Offsets,
        ends: Offsets,
        scores: NDArray[np.float32],
        checked: NDArray[np.bool_],
        told: NDArray[np.bool_],
    ) -> None:
        self.names = names
        self.kinds, self.starts, self.ends, self.scores = kinds, starts, ends, scores
        self.checked, self.told = checked, told

    @classmethod
    def none(cls, names: Sequence[str]) -> Spans:
        nowhere = np.zeros(0, dtype=np.int64)
        return cls(
            names, nowhere.astype(np.int16), nowhere, nowhere, nowhere.astype(np.float32), nowhere > 0, nowhere > 0
        )

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Spans:
        if chosen.dtype == np.bool_ and chosen.all():
            return self
        return Spans(
            self.names,
            self.kinds[chosen],
            self.starts[chosen],
            self.ends[chosen],
            self.scores[chosen],
            self.checked[chosen],
            self.told[chosen],
        )

    def joined(self, other: Spans) -> Spans:
        return Spans(
            self.names,
            np.concatenate([self.kinds, other.kinds]),
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.ends, other.ends]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.checked, other.checked]),
            np.concatenate([self.told, other.told]),
        )
