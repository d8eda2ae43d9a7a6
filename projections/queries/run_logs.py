"""A run's log: what its facts say, and between them the last lines of its output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    RowMapping,
    Select,
    and_,
    bindparam,
    cast,
    literal,
    or_,
    select,
)

from contracts.runs import LogEntry, LogLevel
from contracts.times import naive_iso
from projections.queries.cut import Cut
from projections.runs import notes_from_column
from projections.tables import from_column, logs, runs

_ATTEMPT = 2**48  # an attempt and a byte offset in one number, in their order


def run_log(run: RowMapping, output: Sequence[LogEntry]) -> tuple[LogEntry, ...]:
    """Both in the order of a run's life; `run` is a row of `runs`, which tells as much as was known at its cut."""
    return (*before_output(run), *output, *after_output(run))


def before_output(run: RowMapping) -> Iterator[LogEntry]:
    """What the ledger has to say before a run's first line, in the order in which it came to be known."""
    assets = f"已确认训练资源数据集 {run['dataset']}，配置 {run['training_yaml']}"
    yield _entry(run["created_at"], "INFO", assets)
    yield from _notes(run, "before")
    if run["started_at"] is not None:
        yield _entry(run["started_at"], "INFO", f"已执行训练命令：{run['start_command']}")


def _notes(run: RowMapping, place: str) -> Iterator[LogEntry]:
    for note in notes_from_column(run["notes"]):
        if note.place == place:
            yield _entry(note.time, note.level, note.message)


def after_output(run: RowMapping) -> Iterator[LogEntry]:
    """What it has to say after the last line."""
    said = list(_notes(run, "after"))
    if run["cancel_requested_at"] is not None:
        said.append(_entry(run["cancel_requested_at"], "INFO", "已请求取消训练"))
    yield from sorted(said, key=lambda entry: entry.timestamp)
    match run["status"]:
        case "completed":
            yield _entry(run["completed_at"], "INFO", "训练已完成")
        case "canceled":
            yield _entry(run["completed_at"], "INFO", "训练已取消")
        case "failed" if run["failure_cause"] == "launch":
            yield _entry(run["completed_at"], "ERROR", f"训练启动失败：{run['failure_reason']}")
        case "failed":
            yield _entry(run["completed_at"], "ERROR", f"训练失败：{run['failure_reason']}")


def latest_output(connection: Connection, ids: Sequence[str], cut: Cut, count: int) -> dict[str, list[LogEntry]]:
    """The last `count` output lines of each run: one statement finds where they begin, another reads them.

    A window function would read every line of every run instead.
    """
    found: dict[str, list[LogEntry]] = defaultdict(list)
    if count < 1:
        return found
    begins = connection.execute(_begins(cut.like), {**cut.values, "runs": ids, "but_one": count - 1})
    shown = [(run_id, *divmod(begin or 0, _ATTEMPT)) for run_id, end, begin in begins if end is not None]
    if shown:
        # Said again at the end, up to a power of two, so that there are few statements and not one for each number.
        places = [*shown, *[shown[-1]] * ((1 << (len(shown) - 1).bit_length()) - len(shown))]
        values: dict[str, Any] = dict(cut.values)
        for number, (run_id, attempt, offset) in enumerate(places):
            values |= {f"run_{number}": run_id, f"attempt_{number}": attempt, f"offset_{number}": offset}
            values |= {f"later_run_{number}": run_id, f"later_attempt_{number}": attempt}
        for line in connection.execute(_lines_from(cut.like, len(places)), values).mappings():
            found[line["run_id"]].append(_entry(line["time"], line["level"], line["message"]))
    return found


@cache
def _begins(cut: Cut) -> Select[str, int | None, int | None]:
    """Where the last line of each run begins, and the one that `but_one` others come after."""
    backwards = (
        select(cast(logs.c.attempt, BigInteger) * literal(_ATTEMPT, BigInteger) + logs.c.byte_offset)
        .where(logs.c.run_id == runs.c.id, cut.stored(logs))
        .order_by(logs.c.attempt.desc(), logs.c.byte_offset.desc())
        .limit(1)
        .correlate(runs)
    )
    newest = backwards.scalar_subquery()
    first = backwards.offset(bindparam("but_one", type_=Integer)).scalar_subquery()
    return select(runs.c.id, newest, first).where(runs.c.id.in_(bindparam("runs", expanding=True)), cut.holds(runs))


@cache
def _lines_from(cut: Cut, count: int) -> Select[Any]:
    """The lines of so many runs, of each from a place on."""
    shown = or_(*(_from(number) for number in range(count)))
    return select(logs).where(shown, cut.stored(logs)).order_by(*logs.primary_key.columns)


def _from(number: int) -> ColumnElement[bool]:
    """Two ranges of the primary key. Of parameters that both share SQLite makes a single one: all lines of the run."""
    attempt = bindparam(f"attempt_{number}", type_=Integer)
    offset = bindparam(f"offset_{number}", type_=BigInteger)
    later_attempt = bindparam(f"later_attempt_{number}", type_=Integer)
    return or_(
        and_(logs.c.run_id == bindparam(f"run_{number}"), logs.c.attempt == attempt, logs.c.byte_offset >= offset),
        and_(logs.c.run_id == bindparam(f"later_run_{number}"), logs.c.attempt > later_attempt),
    )


def _entry(time: int, level: LogLevel, message: str) -> LogEntry:
    return LogEntry(timestamp=naive_iso(from_column(time)), level=level, message=message)
