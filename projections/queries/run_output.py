"""The whole log of a run: any part of it, counted, filtered, or from a line on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, RowMapping, Select, func, select

from contracts.runs import LogEntry, LogLevel
from contracts.telemetry import Stream
from contracts.times import naive_iso
from events.runs import RunStatus
from projections.queries.cut import NOW, Cut
from projections.queries.run_logs import after_output, before_output
from projections.queries.wanted_lines import Wanted
from projections.tables import from_column, logs, run_telemetry, runs
from projections.telemetry import count_lines

_COLUMNS = (
    logs.c.attempt,
    logs.c.byte_offset,
    logs.c.time,
    logs.c.level,
    logs.c.message,
    func.coalesce(logs.c.stream, "stdout").label("stream"),
    func.coalesce(logs.c.stream_offset, logs.c.byte_offset).label("stream_offset"),
)

_MESSAGE = itemgetter(4)
MOST_TEXT = 2 * 1024 * 1024  # characters of messages that are read to be sent on
_AT_ONCE = 500

# Attempt, place, microseconds since 1970, level, message, stream, and the byte of that where the line starts.
Line = Row[int, int, int, LogLevel, str, Stream, int]
# The same as the driver gives it: of 50,000 lines a second, SQLAlchemy's rows would cost more than all else.
FlowingLine = tuple[int, int, int, LogLevel, str, Stream, int]


class Place(NamedTuple):
    """Where an entry stands: places are ordered as a log is.

    `phase` is 0 for what the ledger says before the output, where `at` counts, 1 for output, 2 for what it says after.
    """

    phase: int
    attempt: int
    at: int


BEGINNING = Place(-1, 0, 0)


class LogPart(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of a log from the one that `offset` others come before; `total` counts all that were wanted."""

    total: int
    offset: int
    before: Sequence[LogEntry]
    lines: Sequence[Line]
    after: Sequence[LogEntry]


class LogContinued(msgspec.Struct, frozen=True, kw_only=True):
    """What comes behind a place; where it ends is `place`. `status` is the run's.

    `more`: there is more to read now. Not so, and the run has ended: it was everything.
    """

    status: RunStatus
    before: Sequence[tuple[Place, LogEntry]]
    lines: Sequence[FlowingLine]
    after: Sequence[tuple[Place, LogEntry]]
    place: Place
    more: bool


class LogOfRun:
    """One run's log at a cut, within one transaction."""

    def __init__(self, connection: Connection, run: RowMapping, cut: Cut = NOW) -> None:
        self._connection = connection
        self._run = run
        self._cut = cut
        self._attempts = range(1, run["attempt"] + 1)

    @property
    def project_id(self) -> UUID:
        return UUID(self._run["project_id"])

    def part(self, wanted: Wanted, *, skip: int = 0, limit: int) -> LogPart:
        """At most `limit` entries after the first `skip`."""
        return self._part(wanted, skip, limit)

    def tail(self, wanted: Wanted, count: int) -> LogPart:
        """The last `count` entries."""
        return self._part(wanted, None, count)

    def continued(self, after: Place, wanted: Wanted, limit: int) -> LogContinued:
        """At most `limit` lines behind a place, and what the ledger says around them.

        Output is held back until the start of the run is on record, and what comes after it until the run has ended,
        so that nothing comes later that stands earlier.
        """
        run = self._run
        ended = run["completed_at"] is not None
        place, before = after, []
        for number, entry in enumerate(before_output(run)):
            if (at := Place(0, 0, number)) > after:
                place = at
                before += [(at, found) for found in wanted.of([entry])]
        lines: list[FlowingLine] = []
        more = False
        if (run["started_at"] is not None or ended) and place.phase < 2:
            lines, reached, more = self._lines_after(place, wanted, limit)
            place = max(place, reached)
        last: list[tuple[Place, LogEntry]] = []
        if ended and not more:
            for number, entry in enumerate(after_output(run)):
                if (at := Place(2, 0, number)) > after:
                    place = at
                    last += [(at, found) for found in wanted.of([entry])]
        return LogContinued(status=run["status"], before=before, lines=lines, after=last, place=place, more=more)

    def notices(self) -> list[LogEntry]:
        """What the ledger says of a run that has not ended, and will stand behind its output once it has."""
        return [] if self._run["completed_at"] is not None else list(after_output(self._run))

    def last_place(self) -> Place:
        """The place of the last line; where the run has ended, behind everything."""
        if self._run["completed_at"] is not None:
            return Place(3, 0, 0)
        for attempt in reversed(self._attempts):
            newest = (
                select(logs.c.byte_offset)
                .where(logs.c.run_id == self._run["id"], logs.c.attempt == attempt, self._cut.stored(logs))
                .order_by(logs.c.byte_offset.desc())
                .limit(1)
            )
            if (offset := self._connection.execute(newest).scalar_one_or_none()) is not None:
                return Place(1, attempt, offset)
        return BEGINNING

    def place_before_tail(self, wanted: Wanted, count: int) -> Place:
        """Behind it come the last `count` entries."""
        part = self._part(wanted, None, count + 1)
        places = [
            *(Place(0, 0, number) for number, entry in enumerate(before_output(self._run)) if entry in part.before),
            *(Place(1, line.attempt, line.byte_offset) for line in part.lines),
            *(Place(2, 0, number) for number, entry in enumerate(after_output(self._run)) if entry in part.after),
        ]
        return places[0] if len(places) > count else BEGINNING

    def _part(self, wanted: Wanted, skip: int | None, limit: int) -> LogPart:
        before, after = wanted.of(before_output(self._run)), wanted.of(after_output(self._run))
        counts = self._counts(wanted)
        count = sum(counts.values())
        total = len(before) + count + len(after)
        if skip is None:
            skip = max(total - limit, 0)
        first = min(max(skip - len(before), 0), count)
        end = min(max(skip + limit - len(before), 0), count)
        behind = len(before) + count
        return LogPart(
            total=total,
            offset=skip,
            before=before[skip : skip + limit],
            lines=self._lines(wanted, counts, first, end),
            after=after[max(skip - behind, 0) : max(skip + limit - behind, 0)],
        )

    def _counts(self, wanted: Wanted) -> dict[int, int]:
        """How many lines of each attempt are wanted."""
        if wanted.everything and self._cut.position is None:
            return {attempt: self._counted(attempt) for attempt in self._attempts}
        statement = select(logs.c.attempt, func.count()).where(*self._conditions(wanted)).group_by(logs.c.attempt)
        found: dict[int, int] = {row[0]: row[1] for row in self._connection.execute(statement)}
        return {attempt: found.get(attempt, 0) for attempt in self._attempts}

    def _counted(self, attempt: int) -> int:
        """As the projector counted when it stored them."""
        of_attempt = (run_telemetry.c.run_id == self._run["id"], run_telemetry.c.attempt == attempt)
        statement = (
            select(run_telemetry.c.lines, run_telemetry.c.end_offset)
            .where(*of_attempt)
            .order_by(run_telemetry.c.end_offset.desc())
            .limit(1)
        )
        row = self._connection.execute(statement).one_or_none()
        if row is None:
            return 0
        if row.lines is None:  # stored by an earlier release
            return count_lines(self._connection, self._run["id"], attempt, row.end_offset)
        return int(row.lines)

    def _lines(self, wanted: Wanted, counts: dict[int, int], first: int, end: int) -> list[Line]:
        """The wanted lines from number `first` up to, not including, `end`."""
        found: list[Line] = []
        base = 0
        for attempt, count in counts.items():
            low, high = max(first - base, 0), min(end - base, count)
            if low < high:
                found += self._lines_of(attempt, wanted, count, low, high)
            base += count
        return found

    def _lines_of(self, attempt: int, wanted: Wanted, count: int, low: int, high: int) -> list[Line]:
        statement = select(*_COLUMNS).where(logs.c.attempt == attempt, *self._conditions(wanted))
        if high == count:  # the end is nearer, and this is how logs are read most
            backwards = statement.order_by(logs.c.byte_offset.desc()).limit(high - low)
            return list(self._connection.execute(backwards).all())[::-1]
        if wanted.everything and self._cut.position is None:
            number, offset = self._batch_before(attempt, low)
            statement, low, high = statement.where(logs.c.byte_offset >= offset), low - number, high - number
        return self._read(statement.order_by(logs.c.byte_offset).offset(low).limit(high - low))

    def _batch_before(self, attempt: int, number: int) -> tuple[int, int]:
        """A byte offset that at most `number` lines come before, as near as is known, and how many come before it."""
        statement = (
            select(run_telemetry.c.lines, run_telemetry.c.end_offset)
            .where(
                run_telemetry.c.run_id == self._run["id"],
                run_telemetry.c.attempt == attempt,
                run_telemetry.c.lines <= number,
            )
            .order_by(run_telemetry.c.lines.desc(), run_telemetry.c.end_offset.desc())
            .limit(1)
        )
        row = self._connection.execute(statement).one_or_none()
        return (0, 0) if row is None else (row[0], row[1])

    def _lines_after(self, place: Place, wanted: Wanted, limit: int) -> tuple[list[FlowingLine], Place, bool]:
        """At most `limit` lines, the place up to which all was looked at, and whether there is more."""
        found: list[FlowingLine] = []
        reached = place
        for attempt in self._attempts:
            if place.phase == 1 and attempt < place.attempt:
                continue
            behind = place.at if place.phase == 1 and attempt == place.attempt else -1
            of_attempt = (logs.c.run_id == self._run["id"], logs.c.attempt == attempt, self._cut.stored(logs))
            newest = select(logs.c.byte_offset).where(*of_attempt).order_by(logs.c.byte_offset.desc()).limit(1)
            last: int | None = self._connection.execute(newest).scalar_one_or_none()
            if last is None or last <= behind:
                continue
            between = (logs.c.byte_offset > behind, logs.c.byte_offset <= last)
            statement = select(*_COLUMNS).where(*of_attempt, *between, *wanted.conditions())
            lines, cut = self._read_some(statement.order_by(logs.c.byte_offset).limit(limit - len(found)))
            found += lines
            if cut or len(found) == limit:
                reached = Place(1, attempt, lines[-1][1])
                return found, reached, reached.at < last or attempt != self._attempts[-1]
            reached = Place(1, attempt, last)
        return found, reached, False

    def _conditions(self, wanted: Wanted) -> tuple[ColumnElement[bool], ...]:
        return (logs.c.run_id == self._run["id"], self._cut.stored(logs), *wanted.conditions())

    def _read_some(self, statement: Select[Any]) -> tuple[list[FlowingLine], bool]:
        """Not much more than MOST_TEXT of it, and whether it was cut there: lines may be long."""
        lines: list[FlowingLine] = []
        length = 0
        for some in self._partitions(statement):
            lines += some
            length += sum(map(len, map(_MESSAGE, some)))
            if length >= MOST_TEXT:
                return lines, True
        return lines, False

    def _partitions(self, statement: Select[Any]) -> Iterator[Sequence[FlowingLine]]:
        if self._connection.dialect.name != "sqlite":
            with self._connection.execute(statement.execution_options(yield_per=_AT_ONCE)) as rows:
                yield from rows.partitions()
            return
        with self._connection.execute(statement) as result:  # its driver reads no further than it is asked to
            assert result.cursor is not None
            while some := result.cursor.fetchmany(_AT_ONCE):
                yield some

    def _read(self, statement: Select[Any]) -> list[Line]:
        return list(self._connection.execute(statement).all())


def log_of_run(connection: Connection, run_id: UUID, cut: Cut = NOW) -> LogOfRun | None:
    """None where the run did not exist at the cut."""
    statement = select(runs).where(runs.c.id == str(run_id), cut.holds(runs))
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else LogOfRun(connection, row, cut)


def texts(found: LogContinued) -> Iterator[str]:
    """Each entry as a line of text: time, level, message."""
    for _, entry in found.before:
        yield _text(entry)
    for time, (_, _, _, level, message, _, _) in timed(found.lines):
        yield f"{time} {level} {message}"
    for _, entry in found.after:
        yield _text(entry)


def timed(lines: Iterable[FlowingLine]) -> Iterator[tuple[str, FlowingLine]]:
    """Lines with their times as text: those that were read together have one."""
    last, text = None, ""
    for line in lines:
        if line[2] != last:
            last, text = line[2], naive_iso(from_column(line[2]))
        yield text, line


def _text(entry: LogEntry) -> str:
    return f"{entry.timestamp} {entry.level} {entry.message}"
