"""The patterns of a policy's author, on hyperscan: time grows with the text alone, whatever the pattern."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.runtime.deid.expressions import compiled
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN
from services.runtime.deid.rules import Pattern


class Patterns:
    """Finds the patterns of one policy. Overlapping matches of one pattern are one span, so nothing of them is left."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._database = compiled(patterns)

    def find(self, content: bytes, out: Candidates) -> None:
        import hyperscan

        found = list[int]()
        add = found.append

        def matched(number: int, start: int, end: int, _flags: int, _context: None) -> None:
            add(number)
            add(start)
            add(end)

        self._database.scan(content, match_event_handler=matched, scratch=hyperscan.Scratch(self._database))
        matches = np.array(found, dtype=np.int64).reshape(-1, 3)
        for number in np.unique(matches[:, 0]).tolist():
            own = self._patterns[number]
            mine = matches[matches[:, 0] == number]
            mine = mine[np.argsort(mine[:, 1], kind="stable")]
            reach = np.maximum.accumulate(mine[:, 2])
            first = np.ones(len(mine), dtype=np.bool_)
            first[1:] = mine[1:, 1] >= reach[:-1]
            opened = np.flatnonzero(first)
            out.add(own.name, mine[opened, 1] + MARGIN, np.maximum.reduceat(mine[:, 2], opened) + MARGIN, own.score)
