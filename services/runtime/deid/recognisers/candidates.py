"""Candidates: what could be of a type by its form, before anything around it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Offsets
from services.runtime.deid.spans import Spans

Scores = NDArray[np.float32]


class Candidates:
    """Gathers candidates of the wanted types; the others are dropped as they come.

    By the number of each type: `least`, the score that a span needs, and `lift`, the most that its context can add.
    """

    def __init__(self, names: Sequence[str], wanted: frozenset[str], least: Scores, lift: Scores) -> None:
        self.wanted = wanted
        self._names, self._least, self._lift = names, least, lift
        self._numbers = {name: number for number, name in enumerate(names)}
        self._single: list[tuple[int, int, int, float, bool, bool]] = []
        self._parts: list[tuple[Any, ...]] = []

    def hopes(self, kind: str, score: float) -> bool:
        """Whether candidates with this score at most are worth a look."""
        return kind in self.wanted and bool(self._enough(self._numbers[kind], np.float32(score)))

    def add(
        self, kind: str, starts: Offsets, ends: Offsets, score: Any, checked: Any = False, told: Any = False
    ) -> None:
        """`score`, `checked` and `told` are one value for all, or one for each."""
        if kind not in self.wanted or not len(starts):
            return
        number, n = self._numbers[kind], len(starts)
        scores: Scores = np.broadcast_to(np.asarray(score, dtype=np.float32), n)
        flags = [np.broadcast_to(np.asarray(given, bool), n) for given in (checked, told)]
        part: tuple[Any, ...] = (np.full(n, number, dtype=np.int16), starts, ends, scores, *flags)
        enough = self._enough(number, scores)
        self._parts.append(part if enough.all() else tuple(column[enough] for column in part))

    def add_all(self, kind: str, places: list[tuple[int, int]], score: float, *, told: bool = False) -> None:
        """Of one score, by their starts and ends."""
        if places:
            starts, ends = np.array(places, dtype=np.int64).T
            self.add(kind, starts, ends, score, told=told)

    def add_one(
        self, kind: str, start: int, end: int, score: float, *, checked: bool = False, told: bool = False
    ) -> None:
        if self.hopes(kind, score):
            self._single.append((self._numbers[kind], start, end, score, checked, told))

    def spans(self) -> Spans:
        """In ascending order of their starts."""
        if self._single:
            kinds, starts, ends, scores, *flags = zip(*self._single, strict=True)
            numbers = np.array(kinds, dtype=np.int16), np.array(starts), np.array(ends)
            columns = (np.array(flag, dtype=np.bool_) for flag in flags)
            self._parts.append((*numbers, np.array(scores, dtype=np.float32), *columns))
            self._single = []
        if not self._parts:
            return Spans.none(self._names)
        spans = Spans(self._names, *(np.concatenate(column) for column in zip(*self._parts, strict=True)))
        return spans.take(np.argsort(spans.starts, kind="stable"))

    def _enough(self, number: int, scores: Any) -> Any:
        return scores + self._lift[number] >= self._least[number]
