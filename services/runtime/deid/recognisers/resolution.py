"""Overlaps, resolved once: what a checksum confirms, then the longer, then the higher score, then the priority."""

from __future__ import annotations

import bisect
from typing import Protocol

import numpy as np

from services.runtime.deid.buffers import Flags, Offsets
from services.runtime.deid.spans import Spans

_VECTORISED_ROUNDS = 4
_LONGEST, _HIGHEST = (1 << 24) - 1, (1 << 30) - 1
_Indices = np.ndarray[tuple[int], np.dtype[np.int64]]


def resolved(spans: Spans) -> Spans:
    """Of spans in ascending order those that no better one overlaps, in that order."""
    cluster = _clusters(spans.starts, spans.ends)
    lonely = np.bincount(cluster, minlength=1)[cluster] == 1
    if lonely.all():
        return spans
    disputed = np.flatnonzero(~lonely)
    chosen = np.concatenate([np.flatnonzero(lonely), disputed[_best(spans.take(disputed))]])
    return spans.take(np.sort(chosen))


def _clusters(starts: Offsets, ends: Offsets) -> _Indices:
    """Of spans in ascending order the number of the cluster of each: what overlaps is of one."""
    cluster = np.zeros(len(starts), dtype=np.int64)
    cluster[1:] = np.cumsum(starts[1:] >= np.maximum.accumulate(ends)[:-1])
    return cluster


def _best(spans: Spans) -> _Indices:
    """Which of the spans, in ascending order, stay."""
    rank = _ranks(spans)
    left, kept = np.arange(len(spans)), []
    for _ in range(_VECTORISED_ROUNDS):
        if not len(left):
            break
        starts, ends, own = spans.starts[left], spans.ends[left], rank[left]
        cluster = _clusters(starts, ends)
        best = np.minimum.reduceat(own, np.flatnonzero(np.diff(cluster, prepend=-1)))
        winner = np.flatnonzero(own == best[cluster])
        winner = winner[np.diff(cluster[winner], prepend=-1) > 0]
        kept.append(left[winner])
        left = left[(starts >= ends[winner][cluster]) | (ends <= starts[winner][cluster])]
    if len(left):
        kept.append(_one_by_one(spans, left[np.argsort(rank[left], kind="stable")]))
    return np.concatenate(kept)


def _ranks(spans: Spans) -> _Indices:
    """Smaller for the better; the bits of a score from 0 to 1 are in its order."""
    lengths = np.minimum(spans.ends - spans.starts, _LONGEST)
    scores = (spans.scores + np.float32(0)).view(np.int32).astype(np.int64)
    ranks: _Indices = ((~spans.checked).astype(np.int64) << 62) | ((_LONGEST - lengths) << 38)
    return ranks | ((_HIGHEST - scores) << 8) | spans.kinds


def _one_by_one(spans: Spans, ranked: _Indices) -> _Indices:
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


class Places(Protocol):
    """Where something begins and ends."""

    @property
    def starts(self) -> Offsets: ...

    @property
    def ends(self) -> Offsets: ...


def apart(spans: Places, others: Places) -> Flags:
    """Which of `spans` none of `others` (ascending, without overlaps) overlaps."""
    count = len(others.starts)
    if not count:
        return np.ones(len(spans.starts), dtype=np.bool_)
    following = np.searchsorted(others.ends, spans.starts, side="right")
    free: Flags = (following == count) | (others.starts[np.minimum(following, count - 1)] >= spans.ends)
    return free


def within(spans: Places, others: Places) -> Flags:
    """Which of `spans` lie in one of `others` (ascending, without overlaps)."""
    if not len(others.starts):
        return np.zeros(len(spans.starts), dtype=np.bool_)
    last = np.searchsorted(others.starts, spans.starts, side="right") - 1
    inside: Flags = (last >= 0) & (spans.ends <= others.ends[last])
    return inside
