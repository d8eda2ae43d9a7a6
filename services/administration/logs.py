"""Logs of runs, from the command line."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from contracts.problems import Refused
from events.log.jetstream import JetStreamLog
from projections.database import Database
from projections.positions import claimed_position
from projections.queries.run_output import BEGINNING, LogContinued, log_of_run, texts
from projections.queries.wanted_lines import Wanted
from projections.tables import TELEMETRY
from services.runtime import wiring
from services.runtime.nodes.files import NodeFiles
from services.runtime.settings import Settings
from services.training.refilling import CannotRefill
from services.training.refilling import refill as refill_log

_PROJECTED_WITHIN = 60.0
_LINES_AT_ONCE = 1_000
_T = TypeVar("_T")


async def refill(settings: Settings, given: argparse.Namespace) -> int:
    """Waits until the projector has the rows in the tables."""
    run_id = _run_id(given.run_id)
    async with wiring.bus(settings, "command line", patience=5) as nc:
        try:
            done = await refill_log(nc, JetStreamLog(nc), NodeFiles(nc), run_id)
        except CannotRefill as error:
            print(error, file=sys.stderr)
            return 1
    with wiring.database(settings) as database:
        if not await _projected(database, done.position):
            print("The lines are read again, but the projector has not put them into the tables yet.", file=sys.stderr)
            return 1
    print(f"{done.lines} lines of run {run_id} are in the tables.")
    return 0


async def show(settings: Settings, given: argparse.Namespace) -> int:
    """The whole log as it is now, from the tables."""
    run_id, place = _run_id(given.run_id), BEGINNING

    def read(connection: Connection) -> LogContinued:
        log = log_of_run(connection, run_id)
        if log is None:
            raise Refused("run_not_found", run_id=run_id)
        return log.continued(place, Wanted(), _LINES_AT_ONCE)

    with wiring.database(settings) as database:
        while True:
            found = await asyncio.to_thread(_ask, database, read)
            for text in texts(found):
                print(text)
            place = found.place
            if not found.more:
                return 0


def _run_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused("run_not_found", run_id=text) from None


def _ask(database: Database, question: Callable[[Connection], _T]) -> _T:
    """Raises NotReachable."""
    try:
        with database.reading() as connection:
            return question(connection)
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split()).rstrip(".")
        raise wiring.NotReachable(f"TRAINING_DB_URL ({database.name}) cannot be read: {reason}.") from error


async def _projected(database: Database, position: int) -> bool:
    """Whether the tables are so far, waited for."""
    deadline = asyncio.get_running_loop().time() + _PROJECTED_WITHIN
    while (
        await asyncio.to_thread(_ask, database, lambda connection: claimed_position(connection, TELEMETRY)) < position
    ):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True
