"""Overlaps, resolved once: what a checksum confirms, then the longer, then the higher score, then the priority."""

from __future__ import annotations

import bisect

import numpy as np

from services.runtime.deid.buffers import Flags
from services.runtime.deid.spans import Spans

_VECTORISED_ROUNDS = 4


def resolved(spans: Spans) -> Spans:
    """Those that no better one overlaps, in ascending order."""
    order = np.lexsort((spans.kinds, -spans.scores, spans.starts - spans.ends, ~spans.checked))
    spans = spans.take(order)  # best first
    rank = np.arange(len(spans))
    kept: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    left = np.argsort(spans.starts, kind="stable")
    for _ in range(_VECTORISED_ROUNDS):
        if not len(left):
            break
        starts, ends = spans.starts[left], spans.ends[left]
        reach = np.maximum.accumulate(ends)
        cluster = np.zeros(len(left), dtype=np.int64)
        cluster[1:] = np.cumsum(starts[1:] >= reach[:-1])
        best = np.full(int(cluster[-1]) + 1, len(spans), dtype=np.int64)
        np.minimum.at(best, cluster, rank[left])
        winner = best[cluster]
        kept.append(best)
        left = left[(starts >= spans.ends[winner]) | (ends <= spans.starts[winner])]
    if len(left):
        kept.append(_one_by_one(spans, np.sort(left)))
    chosen = np.concatenate(kept) if kept else rank
    return spans.take(chosen[np.argsort(spans.starts[chosen])])


def _one_by_one(
    spans: Spans, ranked: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    taken: list[tuple[int, int]] = []
    kept = []
    for index in ranked.tolist():
        start, end = int(spans.starts[index]), int(spans.ends[index])
        place = bisect.bisect(taken, (start, end))
        if (place and taken[place - 1][1] > start) or (place < len(taken) and taken[place][0] < end):
            continue
        taken.insert(place, (start, end))
        kept.append(index)
    return np.array(kept, dtype=np.int64)


def apart(spans: Spans, others: Spans) -> Flags:
    """Which of `spans` none of `others` (ascending, without overlaps) overlaps."""
    if not len(others):
        return np.ones(len(spans), dtype=np.bool_)
    following = np.searchsorted(others.ends, spans.starts, side="right")
    free: Flags = (following == len(others)) | (others.starts[np.minimum(following, len(others) - 1)] >= spans.ends)
    return free
