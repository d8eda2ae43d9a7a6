"""Precision, recall and F2 of a policy's recognisers, by type, on texts with known spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from services.runtime.deid import json_strings
from services.runtime.deid.buffers import Areas, Buffer
from services.runtime.deid.policies import Policy
from services.runtime.deid.recognisers import Recogniser
from tests.deid.corpus import Sample, Truth

_SAME_PLACE = 0.9


class Quality(NamedTuple):
    found: int
    missed: int
    wrong: int

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.wrong) if self.found + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0

    @property
    def f2(self) -> float:
        weighed = 4 * self.precision + self.recall
        return 5 * self.precision * self.recall / weighed if weighed else 0.0


def found_in(recogniser: Recogniser, sample: Sample) -> list[Truth]:
    """What is recognised in one sample, in characters."""
    content = sample.text.encode()
    if sample.format == "json":
        strings = json_strings.of(content, np.zeros(1, dtype=np.int64), None)
        buffer = Buffer(content, strings.areas, strings.escapes)
    else:
        buffer = Buffer(content, Areas.plain(np.array([0]), np.array([len(content)])))
    [spans] = recogniser.find([buffer], "zh-CN")
    starts, ends = buffer.original(spans.starts).tolist(), buffer.original(spans.ends).tolist()
    return [
        Truth(spans.names[kind], len(content[:start].decode()), len(content[:end].decode()))
        for kind, start, end in zip(spans.kinds.tolist(), starts, ends, strict=True)
    ]


def measure(
    policy: Policy, samples: Iterable[Sample], names: Mapping[str, str] | None = None
) -> tuple[dict[str, Quality], list[tuple[str, Truth, str]]]:
    """By type, and what was missed or wrong with its text. `names`: a type of the policy as the samples call it.

    Found is what has the right type and nine tenths of its characters in common with the truth.
    """
    recogniser = Recogniser(policy)
    found: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    faults = []
    for sample in samples:
        guesses = [
            guess._replace(type=(names or {}).get(guess.type, guess.type)) for guess in found_in(recogniser, sample)
        ]
        for truth in sample.truths:
            match = next((guess for guess in guesses if guess.type == truth.type and _common(guess, truth)), None)
            if match is None:
                missed[truth.type] += 1
                faults.append(("missed", truth, sample.text))
            else:
                found[truth.type] += 1
                guesses.remove(match)
        for guess in guesses:
            wrong[guess.type] += 1
            faults.append(("wrong", guess, sample.text))
    kinds = found.keys() | missed.keys() | wrong.keys()
    return {kind: Quality(found[kind], missed[kind], wrong[kind]) for kind in sorted(kinds)}, faults


def _common(one: Truth, other: Truth) -> bool:
    common = min(one.end, other.end) - max(one.start, other.start)
    return common >= _SAME_PLACE * (max(one.end, other.end) - min(one.start, other.start))


def table(measured: Mapping[str, Quality]) -> str:
    lines = ["| type | spans | precision | recall | F2 |", "|---|---|---|---|---|"]
    for kind, quality in measured.items():
        cells = f"{quality.precision:.3f} | {quality.recall:.3f} | {quality.f2:.3f}"
        lines.append(f"| {kind} | {quality.found + quality.missed} | {cells} |")
    return "\n".join(lines)
