"""A run's log: what its facts say, and between them the last lines of its output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from sqlalchemy import BigInteger, ColumnElement, Connection, RowMapping, and_, cast, literal, or_, select

from contracts.runs import LogEntry, LogLevel
from contracts.times import naive_iso
from projections.queries.cut import Cut
from projections.tables import from_column, logs, runs

_ATTEMPT = 2**48  # an attempt and a byte offset in one number, in their order


def run_log(run: RowMapping, output: Sequence[LogEntry]) -> tuple[LogEntry, ...]:
    """Both in the order of a run's life; `run` is a row of `runs`, which tells as much as was known at its cut."""
    return (*before_output(run), *output, *after_output(run))


def before_output(run: RowMapping) -> Iterator[LogEntry]:
    """What the ledger has to say before a run's first line; the second entry comes with the run's start."""
    assets = f"已确认训练资源数据集 {run['dataset']}，配置 {run['training_yaml']}"
    yield _entry(run["created_at"], "INFO", assets)
    if run["started_at"] is not None:
        yield _entry(run["started_at"], "INFO", f"已执行训练命令：{run['start_command']}")


def after_output(run: RowMapping) -> Iterator[LogEntry]:
    """What it has to say after the last line."""
    if run["cancel_requested_at"] is not None:
        yield _entry(run["cancel_requested_at"], "INFO", "已请求取消训练")
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
    backwards = (
        select(cast(logs.c.attempt, BigInteger) * literal(_ATTEMPT, BigInteger) + logs.c.byte_offset)
        .where(logs.c.run_id == runs.c.id, cut.stored(logs))
        .order_by(logs.c.attempt.desc(), logs.c.byte_offset.desc())
        .limit(1)
        .correlate(runs)
    )
    newest, first = backwards.scalar_subquery(), backwards.offset(count - 1).scalar_subquery()
    begins = select(runs.c.id, newest, first).where(runs.c.id.in_(ids), cut.holds(runs))
    shown = [
        and_(logs.c.run_id == run_id, _from(begin or 0))
        for run_id, end, begin in connection.execute(begins)
        if end is not None
    ]
    if shown:
        in_order = select(logs).where(or_(*shown), cut.stored(logs)).order_by(*logs.primary_key.columns)
        for line in connection.execute(in_order).mappings():
            found[line["run_id"]].append(_entry(line["time"], line["level"], line["message"]))
    return found


def _from(begin: int) -> ColumnElement[bool]:
    attempt, offset = divmod(begin, _ATTEMPT)
    return or_(logs.c.attempt > attempt, and_(logs.c.attempt == attempt, logs.c.byte_offset >= offset))


def _entry(time: int, level: LogLevel, message: str) -> LogEntry:
    return LogEntry(timestamp=naive_iso(from_column(time)), level=level, message=message)
