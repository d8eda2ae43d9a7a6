"""The projector as a process's part: what it needs, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from uuid import UUID

import msgspec
from nats.aio.client import Client

from contracts.subjects import PROJECTED, RUNS_PROJECTED
from events.log.jetstream import JetStreamLog
from events.log.streams import ledger_id
from projections.database import Database
from projections.ownership import prepare
from services.projector.projector import Projector
from services.projector.telemetry import TelemetryStream

_MOST_NAMED = 1_000


async def project(nc: Client, database: Database) -> None:
    """Prepares the tables and keeps them up to the ledger, until it is cancelled. Raises DatabaseRefused.

    `nc` and `database` stay the caller's.
    """
    ledger = await ledger_id(nc.jetstream())
    await asyncio.to_thread(prepare, database, str(ledger))

    async def announce(position: int) -> None:
        await nc.publish(PROJECTED, str(position).encode())

    async def announce_runs(ids: Collection[UUID]) -> None:
        # In a rebuild there are more than anybody waits for; an empty list wakes all.
        named = ids if len(ids) <= _MOST_NAMED else ()
        await nc.publish(RUNS_PROJECTED, msgspec.json.encode(list(named)))

    await Projector(JetStreamLog(nc), TelemetryStream(nc), database, announce, announce_runs).run()
