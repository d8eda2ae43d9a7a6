"""Candidates: what could be of a type by its form, before anything around it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.runtime.deid.buffers import Offsets
from services.runtime.deid.spans import Spans


class Candidates:
    """Gathers candidates of the wanted types; the others are dropped as they come."""

    def __init__(self, names: Sequence[str], wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self._names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        self._single: list[tuple[int, int, int, float, bool]] = []
        self._parts: list[tuple[Any, Any, Any, Any, Any]] = []

    def add(self, kind: str, starts: Offsets, ends: Offsets, score: Any, checked: Any = False) -> None:
        """`score` and `checked` are one value for all, or one for each."""
        if kind not in self.wanted or not len(starts):
            return
        n = len(starts)
        self._parts.append(
            (
                np.full(n, self._numbers[kind], dtype=np.int16),
                starts,
                ends,
                np.broadcast_to(np.asarray(score, dtype=np.float32), n),
                np.broadcast_to(np.asarray(checked, dtype=np.bool_), n),
            )
        )

    def add_one(self, kind: str, start: int, end: int, score: float, *, checked: bool = False) -> None:
        if kind in self.wanted:
            self._single.append((self._numbers[kind], start, end, score, checked))

    def spans(self) -> Spans:
        if self._single:
            kinds, starts, ends, scores, checked = zip(*self._single, strict=True)
            numbers = np.array(kinds, dtype=np.int16), np.array(starts), np.array(ends)
            self._parts.append((*numbers, np.array(scores, dtype=np.float32), np.array(checked, dtype=np.bool_)))
            self._single = []
        if not self._parts:
            nothing = np.zeros(0, dtype=np.int64)
            return Spans(
                self._names,
                nothing.astype(np.int16),
                nothing,
                nothing,
                nothing.astype(np.float32),
                nothing.astype(np.bool_),
            )
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        return Spans(self._names, *columns)
