"""The forms in which a value follows the word that announces it, chosen by what is next and tried in turn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.recognisers.vocabulary import BITS
from services.runtime.deid.spellings import both

_CLOSING = b"\"',;.)]}>\\"
"""Signs that close what a value stands in."""

Judge = re.Pattern[bytes] | None


@dataclass(frozen=True, eq=False)
class Form:
    """`expression`: of what stands between a word and its value, and of the value, the one group that takes part;
    both scripts of Chinese are meant.

    `begins`: the bytes that it can begin with, any where none are given; and after a word that does not end in ASCII,
    where it is `glued`. `judges`: what the value matches besides, by group. `least`: bytes of the value.
    """

    expression: str
    begins: Flags | None = None
    judges: tuple[Judge, ...] = (None,)
    least: int = 6
    glued: bool = False


class Forms:
    """Those that can follow a word, as one expression: of most words nothing follows, and one match tells it."""

    def __init__(self, forms: Iterable[Form]) -> None:
        self._forms = list(forms)
        self._tries: list[_Try | None] = [None] * len(self._forms)

    def find(self, text: bytes, start: int, limit: int, floor: int = 0) -> tuple[int, int] | None:
        """Where the value is, from `floor` on, without the signs that close what it stands in."""
        number = 0
        while number < len(self._tries):
            expression, groups = self._tries[number] or self._trying(number)
            found = expression.match(text, start, limit)
            if found is None:
                return None
            group = found.lastindex or 1
            first, last = found.span(group)
            number, judge, least = groups[group - 1]
            end = first + len(text[first:last].rstrip(_CLOSING)) if text[last - 1] in _CLOSING else last
            if end - first >= least and first >= floor and (judge is None or judge.match(text, first, last)):
                return first, end
            number += 1
        return None

    def _trying(self, number: int) -> _Try:
        """This form and those after it; for each group its form, its judge, and the bytes that it has at least."""
        left = list(enumerate(self._forms))[number:]
        expression = re.compile(both("|".join(form.expression for _, form in left)).encode())
        made = self._tries[number] = expression, [(at, judge, form.least) for at, form in left for judge in form.judges]
        return made


_Try = tuple[re.Pattern[bytes], list[tuple[int, Judge, int]]]


class Announced:
    """The values of one type, by the classes of the words that announce them. A choice of forms is a set of bits."""

    def __init__(self, by_class: Mapping[str, Sequence[Form]]) -> None:
        self._forms = list(dict.fromkeys(form for forms in by_class.values() for form in forms))
        self._of_class = {BITS[name]: self._bits(forms) for name, forms in by_class.items()}
        self._begins = np.zeros(256, dtype=np.int64)
        for form in self._forms:
            self._begins[slice(None) if form.begins is None else form.begins] |= self._bits([form])
        self._glued = self._bits([form for form in self._forms if form.glued])
        self._chosen = dict[int, Forms]()

    def choices(self, classes: Offsets) -> Offsets:
        """For words of these classes."""
        chosen = np.zeros(len(classes), dtype=np.int64)
        for bit, forms in self._of_class.items():
            chosen |= np.where(classes & bit, forms, 0)
        return chosen

    def beginning(self, choices: Offsets, before: Bytes, after: Bytes) -> Offsets:
        """What is left of the choices between these bytes, the last one of a word and the next."""
        return choices & (self._begins[after] | np.where(before >= 0x80, self._glued, 0))

    def chosen(self, choice: int) -> Forms:
        if choice not in self._chosen:
            self._chosen[choice] = Forms(form for form in self._forms if choice & self._bits([form]))
        return self._chosen[choice]

    def _bits(self, forms: Iterable[Form]) -> int:
        return sum(1 << self._forms.index(form) for form in forms)
