"""What the chunks of a file add up to, and what is said of the whole."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import BinaryIO, Protocol

import msgspec

from contracts.deid import FileFormat
from services.runtime.deid.files.work import Done
from services.runtime.deid.policies import Policy
from services.runtime.deid.refusals import Canceled, FileRefused

_MOST_QUARANTINED = 100

Progress = Callable[[int, int], None]


class Cancellation(Protocol):
    """A `threading.Event`, or one of processes."""

    def is_set(self) -> bool: ...


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a file, without a word of its content.

    `quarantined`: how many lines were left out; `quarantined_lines` are the first hundred of them, from 1.
    """

    format: FileFormat
    policy_id: str
    policy_version: str
    records: int
    counts: dict[str, int]
    input_bytes: int
    input_sha256: str
    output_bytes: int
    output_sha256: str
    quarantined: int = 0
    quarantined_lines: tuple[int, ...] = ()


class Tally:
    """What the chunks add up to, in their order."""

    def __init__(self, size: int, policy: Policy, progress: Progress | None, canceled: Cancellation | None) -> None:
        self.size, self._policy, self._progress, self._canceled = size, policy, progress, canceled
        self._quarantine = policy.bad_lines == "quarantine"
        self.read, self.written = hashlib.sha256(), hashlib.sha256()
        self.bytes_read = self.bytes_written = self.lines = self.records = self.quarantined = 0
        self.bad: list[int] = []
        self.counts: Counter[str] = Counter()
        self.fields: set[str] = set()

    def take(self, chunk: bytes) -> None:
        if self._canceled is not None and self._canceled.is_set():
            raise Canceled
        self.read.update(chunk)
        self.bytes_read += len(chunk)

    def give(self, out: BinaryIO, content: bytes) -> None:
        out.write(content)
        self.written.update(content)
        self.bytes_written += len(content)

    def add(self, done: Done, out: BinaryIO, taken: int) -> None:
        """Raises FileRefused for a bad line where the policy does not leave those out."""
        for bad in done.bad:
            if bad.fatal or not self._quarantine:
                raise FileRefused(bad.zh, bad.en, self.lines + bad.line + 1)
            self.quarantined += 1
            if len(self.bad) < _MOST_QUARANTINED:
                self.bad.append(self.lines + bad.line + 1)
        self.give(out, done.content)
        self.lines += done.lines
        self.records += done.records
        self.counts.update(done.counts)
        self.fields |= done.fields
        self.tell(taken)

    def tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(min(done, self.size), self.size)

    def report(self, kind: FileFormat) -> Report:
        return Report(
            format=kind,
            policy_id=self._policy.id,
            policy_version=self._policy.version,
            records=self.records,
            counts=dict(sorted(self.counts.items())),
            input_bytes=self.bytes_read,
            input_sha256=self.read.hexdigest(),
            output_bytes=self.bytes_written,
            output_sha256=self.written.hexdigest(),
            quarantined=self.quarantined,
            quarantined_lines=tuple(self.bad),
        )
