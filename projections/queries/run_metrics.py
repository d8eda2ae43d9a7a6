"""The metric points of a run: all of them, from a step on, by pages, or thinned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from contracts.run_views import MetricValue
from contracts.telemetry import PointSource
from contracts.times import naive_iso
from projections.queries.cut import NOW, Cut
from projections.rows import storable
from projections.tables import from_column, metrics

_CHUNK = 1_000
_KEPT_OF_BUCKET = 4  # first, last, least, greatest

Point = Row[int, int, str, int | None, float | None, int, PointSource | None, int | None]

_COLUMNS = (
    metrics.c.attempt,
    metrics.c.byte_offset,
    metrics.c.name,
    metrics.c.step,
    metrics.c.value,
    metrics.c.time,
    metrics.c.source,
    metrics.c.stream_offset,
)


class After(NamedTuple):
    """Where a page ends."""

    attempt: int
    byte_offset: int
    name: str


class Points(msgspec.Struct, frozen=True, kw_only=True):
    """`total` counts what was asked for on all pages; `after` is where the next begins, none on the last."""

    total: int
    points: tuple[MetricValue, ...]
    after: After | None = None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Which points: of that name, with that step or a later one; a point whose step is not known is no later one."""

    name: str | None = None
    from_step: int | None = None


def metric_page(
    connection: Connection, run_id: UUID, series: Series, cut: Cut = NOW, *, after: After | None = None, limit: int
) -> Points:
    """At most `limit` points in the order in which they were printed."""
    wanted = [*_of_run(connection, run_id, cut), *_conditions(series)]
    total = connection.execute(select(func.count()).where(*wanted)).scalar_one()
    if after is not None:
        attempt, offset, name = metrics.c.attempt, metrics.c.byte_offset, metrics.c.name
        behind = or_(offset > after.byte_offset, and_(offset == after.byte_offset, name > after.name))
        wanted += [attempt >= after.attempt, or_(attempt > after.attempt, behind)]
    statement = select(*_COLUMNS).where(*wanted).order_by(*metrics.primary_key.columns).limit(limit + 1)
    rows = connection.execute(statement).all()
    shown = rows[:limit]
    more = len(rows) > limit
    return Points(
        total=total,
        points=tuple(_value(row) for row in shown),
        after=After(shown[-1].attempt, shown[-1].byte_offset, shown[-1].name) if more else None,
    )


def thinned_metrics(connection: Connection, run_id: UUID, series: Series, cut: Cut = NOW, *, most: int) -> Points:
    """At most `most` points (4 or more) of each name, in the order in which they were printed.

    A longer series is divided into buckets of equally many points, of which the first, the last, the least and the
    greatest stay, so that a chart of it looks the same (M4, Jugel et al., VLDB 2014).
    """
    wanted = (*_of_run(connection, run_id, cut), *_conditions(series))
    counted = select(metrics.c.name, func.count()).where(*wanted).group_by(metrics.c.name)
    counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(counted)}
    buckets = {name: _Buckets(count, most) for name, count in counts.items()}
    kept: list[Point] = []
    statement = select(*_COLUMNS).where(*wanted).order_by(*metrics.primary_key.columns)
    with connection.execute(statement.execution_options(yield_per=_CHUNK)) as rows:
        for row in rows:
            kept += buckets[row.name].add(row)
    for rest in buckets.values():
        kept += rest.finish()
    kept.sort(key=_order)
    return Points(total=sum(counts.values()), points=tuple(_value(row) for row in kept))


class _Buckets:
    """Of one series of `count` points that are added in their order; keeps `most`."""

    def __init__(self, count: int, most: int) -> None:
        self._everything = count <= most
        self._size = -(-count // max(most // _KEPT_OF_BUCKET, 1))
        self._bucket: dict[str, Point] = {}
        self._held = 0

    def add(self, point: Point) -> Iterator[Point]:
        """What is decided by it."""
        if self._everything:
            yield point
            return
        bucket, value = self._bucket, point.value
        bucket.setdefault("first", point)
        bucket["last"] = point
        if value is not None:
            least, greatest = bucket.get("least"), bucket.get("greatest")
            if least is None or least.value is None or value < least.value:
                bucket["least"] = point
            if greatest is None or greatest.value is None or value > greatest.value:
                bucket["greatest"] = point
        self._held += 1
        if self._held == self._size:
            yield from self.finish()

    def finish(self) -> Iterator[Point]:
        kept = {_order(point): point for point in self._bucket.values()}
        self._bucket, self._held = {}, 0
        yield from kept.values()


def _of_run(connection: Connection, run_id: UUID, cut: Cut) -> Iterator[ColumnElement[bool]]:
    """Each value once: what is printed of a metric is left out where the trainer's own log has it, unrounded."""
    yield from (stored := (metrics.c.run_id == str(run_id), cut.stored(metrics)))
    statement = select(metrics.c.attempt, metrics.c.name).where(*stored, metrics.c.source == "trainer_log").distinct()
    exact: dict[int, list[str]] = {}
    for attempt, name in connection.execute(statement):
        exact.setdefault(attempt, []).append(name)
    for attempt, names in exact.items():
        yield or_(metrics.c.source == "trainer_log", metrics.c.attempt != attempt, metrics.c.name.not_in(names))


def _conditions(series: Series) -> Iterator[ColumnElement[bool]]:
    if series.name is not None:
        yield metrics.c.name == storable(series.name)
    if series.from_step is not None:
        yield metrics.c.step >= series.from_step


def _order(row: Point) -> tuple[int, int, str]:
    return (row.attempt, row.byte_offset, row.name)


def _value(row: Point) -> MetricValue:
    return MetricValue(
        name=row.name,
        step=row.step,
        value=row.value,
        timestamp=naive_iso(from_column(row.time)),
        attempt=row.attempt,
        byte_offset=row.byte_offset if row.stream_offset is None else row.stream_offset,
        source=row.source or "output",
    )
