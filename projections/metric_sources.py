"""Which source of a metric counts: LLaMA-Factory's own log where it has the metric, as what is printed is rounded."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from projections.tables import metrics


def exact_names(connection: Connection, run_id: str, attempt: int) -> set[str]:
    """The metrics of which an attempt has points of the trainer's own log."""
    statement = (
        select(metrics.c.name)
        .where(metrics.c.run_id == run_id, metrics.c.attempt == attempt, metrics.c.source == "trainer_log")
        .distinct()
    )
    return set(connection.scalars(statement))


def trained_up_to(connection: Connection, run_id: str, attempt: int) -> int:
    """Behind the first byte of the last line of the trainer's own log that gave points, 0 if none did."""
    statement = select(func.max(metrics.c.stream_offset)).where(
        metrics.c.run_id == run_id, metrics.c.attempt == attempt, metrics.c.source == "trainer_log"
    )
    last: int | None = connection.execute(statement).scalar_one()
    return 0 if last is None else last + 1
