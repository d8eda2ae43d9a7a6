"""Finding what a policy names: candidates of every type by their form, weighed by checksum and context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from services.runtime.deid.buffers import Buffer, Flags, Offsets, Runs
from services.runtime.deid.kinds import TYPES
from services.runtime.deid.policies import Policy
from services.runtime.deid.recognisers import (
    addresses,
    anchored,
    announced,
    codes,
    connections,
    dates,
    digits,
    forms,
    names,
    other_phones,
    patterns,
    phones,
    places,
    private_keys,
    split,
    tables,
)
from services.runtime.deid.recognisers.beginnings import Beginnings
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.counterevidence import AGAINST, against
from services.runtime.deid.recognisers.groups import MARGIN, Groups
from services.runtime.deid.recognisers.names_again import names_again
from services.runtime.deid.recognisers.repeated import repeated
from services.runtime.deid.recognisers.resolution import apart, resolved, within
from services.runtime.deid.recognisers.scan import scanned
from services.runtime.deid.recognisers.spared import Identifiers, spared
from services.runtime.deid.recognisers.tables import Cells
from services.runtime.deid.recognisers.vocabulary import BITS, WORDS
from services.runtime.deid.recognisers.words import Words
from services.runtime.deid.spans import Spans

_CONTEXT = {
    "CN_PHONE": ("phone", 0.3), "CN_LANDLINE": ("phone", 0.3), "US_PHONE": ("phone", 0.3), "CN_ID": ("id", 0.35),
    "BANK_CARD": ("card", 0.35), "CREDIT_CARD": ("card", 0.3), "CN_USCC": ("uscc", 0.35), "PASSPORT": ("passport", 0.4),
    "HK_MO_PERMIT": ("permit", 0.4), "TW_PERMIT": ("tw", 0.5), "IMEI": ("imei", 0.4), "QQ": ("qq", 0.5),
    "WECHAT": ("wechat", 0.2), "US_SSN": ("ssn", 0.5), "IBAN": ("iban", 0.2), "DATE": ("date", 0.4),
    "CN_PLATE": ("plate", 0.1), "IPV4": ("net", 0.1), "MAC": ("mac", 0.3),
}  # fmt: skip
_OF_PEOPLE = sum(BITS[name] for name in names.CLASSES)
_NUMBER_SCORE = 0.5


class Recogniser:
    """Finds what one policy names."""

    def __init__(self, policy: Policy, *, pseudonyms: bool = False) -> None:
        self._forms = forms.pseudonyms(policy) if pseudonyms else forms.originals()
        self._names = (*TYPES, *(own.name for own in policy.patterns))
        self._rules = policy.types
        self._pseudonyms = pseudonyms
        self._hides_places = pseudonyms and "ADDRESS" in policy.types and policy.types["ADDRESS"].reversible
        own_names = {own.name for own in policy.patterns}
        self._wanted = frozenset(policy.types) | own_names
        self._typed = frozenset(policy.types) - {"NUMBER"}
        self._classes = frozenset(WORDS) - (set() if self._wanted & {"PERSON", "ADDRESS"} else names.CLASSES)
        self._patterns = policy.patterns
        least = {kind: rule.min_score for kind, rule in policy.types.items()}
        least |= {own.name: own.min_score for own in policy.patterns}
        self._least = np.array([_or(least.get(name), policy.min_score) for name in self._names], dtype=np.float32)
        self._bits = np.array([BITS[_CONTEXT[name][0]] if name in _CONTEXT else 0 for name in self._names])
        self._bonus = np.array([_CONTEXT[name][1] if name in _CONTEXT else 0 for name in self._names], dtype=np.float32)
        self._phones = np.isin(self._names, ["CN_PHONE", *other_phones.PHONES])
        self._varied = np.isin(
            self._names, ["CN_LANDLINE", "US_PHONE", "US_SSN"]
        )  # told by their form in some spellings
        self._malus = np.array([AGAINST.get(name, 0) for name in self._names], dtype=np.float32)

    @property
    def has_patterns(self) -> bool:
        """Of the policy's author, which may match any character."""
        return bool(self._patterns)

    def find(self, buffers: Sequence[Buffer], locale: str) -> list[Spans]:
        """Of each buffer, spans in ascending order that do not overlap, each inside one of its areas.

        The documents of all buffers are the same, by their numbers.
        """
        del locale
        found = [self._found(buffer) for buffer in buffers]
        again = repeated([one.spans for one in found], buffers)
        return [self._completed(*three) for three in zip(found, again, buffers, strict=True)]

    def _found(self, buffer: Buffer) -> _Found:
        runs = buffer.runs
        if not len(buffer.areas.starts) or (not self._typed and not self._patterns):
            return _Found(Spans.none(self._names), np.ones(len(runs.starts), dtype=np.bool_))
        groups = Groups(buffer.bytes, runs, self._forms)
        every, begun = scanned(buffer, groups, self._classes)
        words, people = every.only(~_OF_PEOPLE), every.only(_OF_PEOPLE)  # which say nothing of numbers near them
        spans, cells = self._candidates(buffer, runs, groups, words, people, begun)
        spans, area = _inside(_moved(spans, -MARGIN), buffer)
        public = Identifiers(words, buffer)
        own = ~within(spans, public)
        spans = resolved(self._weighed(spans.take(own), area[own], words, buffer, cells))
        free = apart(runs, public)
        return _Found(self._with_phones(spans, words, runs, free, buffer), free, groups, words, people)

    def _completed(self, found: _Found, again: Spans, buffer: Buffer) -> Spans:
        again, _ = _inside(again, buffer)
        spans = _merged(found.spans.take(apart(found.spans, again)), again)
        if "PERSON" in self._wanted:
            people, _ = _inside(names_again(spans, buffer, pseudonyms=self._pseudonyms), buffer)
            spans = _merged(spans, people)
        return self._with_numbers(self._with_brackets(spans, buffer), found, buffer)

    def _candidates(
        self, buffer: Buffer, runs: Runs, groups: Groups, words: Words, people: Words, begun: Beginnings
    ) -> tuple[Spans, Cells]:
        lift = self._bonus * ((self._bits & words.every_bit()) > 0)
        out = Candidates(self._names, self._wanted, self._least, lift)
        cells = Cells.none()
        if self._typed:
            phones.find(groups, out)
            digits.find(groups, out)
            dates.find(groups, words, out)
            addresses.find(groups, begun, buffer, out)
            codes.find(groups, out)
            anchored.find(groups, begun, out)
            connections.find(groups.searched, begun.connections, out)
            private_keys.find(groups, buffer.areas, out)
            announced.find(groups.searched, buffer, words, out)
            split.find(buffer, groups, runs, words, out)
            names.find(buffer, people, out)
            cells = tables.cells(groups, buffer.areas, begun, words)
            tables.find(groups.searched, cells, out)
        patterns.find(self._patterns, buffer, out)
        return out.spans(), cells

    def _weighed(self, spans: Spans, area: Offsets, words: Words, buffer: Buffer, cells: Cells) -> Spans:
        near = words.near(spans.starts, spans.ends, buffer, area) | cells.around(spans.starts, spans.ends)
        worded = (near & self._bits[spans.kinds]) > 0
        scores = spans.scores + self._bonus[spans.kinds] * worded
        least = self._least[spans.kinds]
        spans.told = spans.told | (spans.scores < least) | (worded & self._varied[spans.kinds])
        decided = np.flatnonzero((scores >= least) & (scores - self._malus[spans.kinds] < least))
        some = spans.take(decided)
        own = np.where(some.scores < least[decided], self._bits[some.kinds], 0)
        refuted = against(self._names, some, near[decided], own, area[decided], words, buffer)
        scores[decided[refuted]] = -1
        spans.scores = np.minimum(scores, 1).astype(np.float32)
        return spans.take(spans.scores >= least)

    def _with_phones(self, spans: Spans, words: Words, runs: Runs, free: Flags, buffer: Buffer) -> Spans:
        """Phones of other plans where nothing else is: a country code or a word before tells them, not their form.

        `free`: the runs that may be anybody's.
        """
        if not self._wanted & other_phones.PHONES:
            return spans
        others = Candidates(self._names, self._wanted, self._least, np.zeros_like(self._least))
        other_phones.find(buffer, runs, words, free & apart(runs, spans), others)
        found, _ = _inside(others.spans(), buffer)
        found = resolved(found)
        return _merged(spans, found.take(apart(found, spans)))

    def _with_brackets(self, spans: Spans, buffer: Buffer) -> Spans:
        """A bracket that opens right before a phone and closes in it is part of it."""
        opened = np.flatnonzero(self._phones[spans.kinds])
        opened = opened[phones.after_bracket(buffer.bytes, spans.starts[opened])]
        opened = opened[spans.starts[opened] > buffer.areas.starts[buffer.area_of(spans.starts[opened])]]
        spans.starts = spans.starts.copy()
        spans.starts[opened] -= 1
        return spans

    def _with_numbers(self, spans: Spans, found: _Found, buffer: Buffer) -> Spans:
        """Runs of digits of which nothing else is part, and where types were looked for, without what is nobody's."""
        rule = self._rules.get("NUMBER")
        if rule is None:
            return spans
        runs, groups, words, people = buffer.runs, found.groups, found.words, found.people
        long = np.flatnonzero((runs.digits >= rule.min_digits) & found.free & apart(runs, spans))
        if groups and words:
            long = long[~spared(groups, long, words, buffer)]
            if self._hides_places and people:
                long = long[~places.in_hidden(buffer, people, runs.starts[long])]
        n = len(long)
        kind, score = np.full(n, self._names.index("NUMBER"), dtype=np.int16), np.full(n, _NUMBER_SCORE, np.float32)
        none = np.zeros(n, dtype=np.bool_)
        numbers = Spans(self._names, kind, runs.starts[long], runs.ends[long], score, none, none)
        numbers, _ = _inside(numbers, buffer)
        return _merged(spans, numbers)


class _Found(NamedTuple):
    """What a buffer has by itself: spans, the runs that may be anybody's, and what else was seen there."""

    spans: Spans
    free: Flags
    groups: Groups | None = None
    words: Words | None = None
    people: Words | None = None


def _merged(spans: Spans, others: Spans) -> Spans:
    """In ascending order."""
    if not len(spans) or not len(others):
        return others if len(others) else spans
    both = spans.joined(others)
    return both.take(np.argsort(both.starts, kind="stable"))


def _or(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given


def _moved(spans: Spans, by: int) -> Spans:
    spans.starts, spans.ends = spans.starts + by, spans.ends + by
    return spans


def _inside(spans: Spans, buffer: Buffer) -> tuple[Spans, Any]:
    """Those that lie in one area, and the number of that area."""
    areas = buffer.areas
    if not len(areas.starts):
        return spans.take(np.zeros(len(spans), dtype=np.bool_)), np.zeros(0, dtype=np.int64)
    area = np.searchsorted(areas.starts, spans.starts, side="right") - 1
    inside = (area >= 0) & (spans.ends <= areas.ends[np.maximum(area, 0)])
    return spans.take(inside), area[inside]
