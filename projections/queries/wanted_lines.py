"""Which entries of a log somebody wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, false, func

from contracts.run_views import LogStream
from contracts.runs import LogEntry, LogLevel
from contracts.times import naive_iso
from projections.rows import storable
from projections.tables import logs, to_column


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: of that level and stream, from `start` to `end` (both included), with `text` in any case.

    Which letters are the same in another case is the database's affair; those of ASCII are in all of them.
    """

    level: LogLevel | None = None
    stream: LogStream | None = None
    text: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def everything(self) -> bool:
        return self == _EVERYTHING

    def of(self, entries: Iterable[LogEntry]) -> list[LogEntry]:
        return [entry for entry in entries if self._holds(entry)]

    def _holds(self, entry: LogEntry) -> bool:
        return (
            self.stream in (None, "ledger")
            and (self.level is None or entry.level == self.level)
            and (self.text is None or self.text.lower() in entry.message.lower())
            and (self.start is None or naive_iso(self.start) <= entry.timestamp)
            and (self.end is None or entry.timestamp <= naive_iso(self.end))
        )

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        if self.stream == "ledger":
            yield false()
        elif self.stream is not None:
            yield func.coalesce(logs.c.stream, "stdout") == self.stream
        if self.level is not None:
            yield logs.c.level == self.level
        if self.start is not None:
            yield logs.c.time >= to_column(self.start)
        if self.end is not None:
            yield logs.c.time <= to_column(self.end)
        if self.text is not None:
            yield logs.c.message.icontains(storable(self.text), autoescape=True)


_EVERYTHING = Wanted()
