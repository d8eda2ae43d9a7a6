"""Finding what a policy names: candidates of every type by their form, weighed by checksum and context."""

from __future__ import annotations

import numpy as np

from services.runtime.deid.buffers import Buffer
from services.runtime.deid.kinds import TYPES
from services.runtime.deid.policies import Policy
from services.runtime.deid.recognisers.digits import Runs
from services.runtime.deid.spans import Spans


class Recogniser:
    """Finds what one policy names."""

    def __init__(self, policy: Policy) -> None:
        self._names = (*TYPES, *(own.name for own in policy.patterns))
        self._rules = policy.types

    def find(self, buffer: Buffer, locale: str) -> Spans:
        """Spans in ascending order that do not overlap."""
        del locale
        runs = Runs.of(buffer.bytes)
        rule = self._rules.get("NUMBER")
        wanted = runs.digits >= rule.min_digits if rule else np.zeros(len(runs.starts), dtype=np.bool_)
        starts, ends = runs.starts[wanted], runs.ends[wanted]
        return Spans(
            self._names,
            np.full(len(starts), self._names.index("NUMBER"), dtype=np.int16),
            starts,
            ends,
            np.full(len(starts), 0.5, dtype=np.float32),
            np.zeros(len(starts), dtype=np.bool_),
        )
