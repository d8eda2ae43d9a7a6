"""What a check finds, gathered while it reads: bounded, and never any of the file's contents."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec

from services.datasets.checking.encodings import is_gbk
from services.datasets.checking.fields import Field, Fields
from services.datasets.checking.limits import Limits
from services.datasets.checking.shapes import Shape

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "text", "other"]

_ENCODING_SAMPLE = 64 * 1024


class Problem(msgspec.Struct, frozen=True):
    """`line` counts from 1; of Parquet it is the row. `code` is one of contracts.dataset_checks.FINDINGS."""

    line: int
    code: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` is the code of what made it invalid; `bad_records` counts all, `problems` are the first of them.

    `fields_complete`: no field had to be left out, for its number or as its name is data.
    """

    verdict: Literal["valid", "invalid"]
    format: Format | None
    records: int | None = None
    fields: tuple[Field, ...] = ()
    fields_complete: bool = True
    training_format: Shape | None = None
    problems: tuple[Problem, ...] = ()
    bad_records: int = 0
    reason: str | None = None


def invalid(format_: Format | None, reason: str) -> Verdict:
    """A file of which no more can be said."""
    return Verdict(verdict="invalid", format=format_, reason=reason)


class Findings:
    """Of one file, in the order of its lines."""

    def __init__(self, format_: Format, limits: Limits) -> None:
        self.format = format_
        self.limits = limits
        self.records = 0
        self.bad_records = 0
        self.fields = Fields(limits)
        self._bad: list[Problem] = []
        self._notes: list[Problem] = []
        self._first_of_shape: dict[Shape | None, list[int]] = {}
        self._shapes: Counter[Shape | None] = Counter()
        self._sample = bytearray()

    def bad(self, line: int, code: str, content: bytes = b"") -> None:
        """A record that cannot be used. `content` only helps to tell the encoding of what is not UTF-8."""
        self.bad_records += 1
        if len(self._bad) < self.limits.problems:
            self._bad.append(Problem(line, code))
        if code == "not_utf8" and len(self._sample) < _ENCODING_SAMPLE:
            self._sample += content[: _ENCODING_SAMPLE - len(self._sample)] + b"\n"

    def note(self, line: int, code: str) -> None:
        if len(self._notes) < self.limits.problems:
            self._notes.append(Problem(line, code))

    def record(self, line: int, shape: Shape | None, times: int = 1) -> None:
        """One that can be used, or several of the same shape in a row."""
        self.records += times
        self._shapes[shape] += times
        first = self._first_of_shape.setdefault(shape, [])
        if len(first) < self.limits.problems:
            first.append(line)

    def verdict(self, reason: str | None = None) -> Verdict:
        """`reason`: why the whole file cannot be used, whatever its lines are."""
        if reason is None and self._bad:
            first = self._bad[0].code
            reason = "gbk" if first == "not_utf8" and is_gbk(bytes(self._sample)) else first
        if reason is None and self.records == 0:
            reason = "no_records"
        training_format = self._training_format()
        if training_format is not None:
            others = (
                line for shape, lines in self._first_of_shape.items() if shape != training_format for line in lines
            )
            for line in sorted(others):
                self.note(line, "other_shape")
        told = [*self._bad, *self._notes][: self.limits.problems]
        return Verdict(
            verdict="valid" if reason is None else "invalid",
            format=self.format,
            records=self.records,
            fields=self.fields.found(),
            fields_complete=self.fields.complete,
            training_format=training_format,
            problems=tuple(sorted(told, key=lambda problem: problem.line)),
            bad_records=self.bad_records,
            reason=reason,
        )

    def _training_format(self) -> Shape | None:
        """That of more than half of the records."""
        if not self._shapes:
            return None
        [(shape, times)] = self._shapes.most_common(1)
        return shape if 2 * times > self.records else None
