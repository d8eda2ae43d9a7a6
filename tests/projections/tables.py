"""Folding into and asking tables in tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from contracts.telemetry import TelemetryBatch
from events.event import Recorded
from projections.checksum import checksum
from projections.database import Database
from projections.folding import fold
from projections.positions import projected
from projections.queries.cut import Cut
from projections.telemetry import StoredTelemetry, append_telemetry
from tests.projections.histories import stored_at

T = TypeVar("T")


def fold_all(database: Database, facts: Sequence[Recorded], batch: int = 1_000, after: int = 0) -> int:
    for first in range(0, len(facts), batch):
        with database.writing() as connection:
            after = fold(connection, facts[first : first + batch], after)
    return after


def append_all(database: Database, *batches: TelemetryBatch, after: int = 0, fact: int = 1) -> int:
    """Telemetry stored one after the other, just after the fact at position `fact` was stored."""
    messages = [
        StoredTelemetry(after + number, stored_at(fact) + timedelta(milliseconds=number), batch)
        for number, batch in enumerate(batches, 1)
    ]
    with database.writing() as connection:
        return append_telemetry(connection, messages, after)


def ask(database: Database, question: Callable[[Connection], T]) -> T:
    with database.reading() as connection:
        return question(connection)


def checksum_at(database: Database, position: int) -> str:
    return ask(database, lambda connection: checksum(connection, position))


def cut_at(position: int) -> Cut:
    return Cut(position, stored_at(position))


def projected_position(connection: Connection) -> int:
    return projected(connection).position


def name_of(person: UUID) -> str | None:
    return "alice"
