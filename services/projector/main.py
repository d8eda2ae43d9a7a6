"""The projector as a process's part, and the watch over nodes, which asks its tables."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from uuid import UUID

from nats.aio.client import Client
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from events.log import LogUnavailable
from events.log.jetstream import JetStreamLog
from projections.database import Database
from projections.queries.deid import live_jobs_of
from projections.queries.deployments import live_deployments_of
from projections.queries.nodes import live_runs_of
from services.projector.node_watch import Live, NodeWatch
from services.projector.service import project
from services.runtime import wiring
from services.runtime.dispatch import Dispatch
from services.runtime.reporting import report_sources
from services.runtime.settings import Settings, without_secrets

_log = logging.getLogger("trainledger.projector")


async def run(settings: Settings) -> None:
    """Keeps the read models until cancelled. Raises SettingRefused, NotReachable and events.log.LogUnavailable."""
    with wiring.database(settings) as database:
        async with wiring.bus(settings, "projector") as nc:
            _log.info("the read models are kept in %s", without_secrets(settings.training_db_url))
            if not settings.node_lost_after:
                await project(nc, database)
                return
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(project(nc, database), name="projections")
                    tasks.create_task(watch(nc, database, settings), name="nodes")
            except BaseExceptionGroup as group:
                if len(group.exceptions) == 1:
                    raise group.exceptions[0] from None
                raise


async def watch(nc: Client, database: Database, settings: Settings) -> None:
    """Gives up nodes and what they were at, until cancelled. Raises LogUnavailable."""
    dispatch = Dispatch(report_sources(JetStreamLog(nc), settings))

    async def ask(question: Callable[[Connection], Sequence[UUID]]) -> Sequence[UUID]:
        def read() -> Sequence[UUID]:
            with database.reading() as connection:
                return question(connection)

        try:
            return await asyncio.to_thread(read)
        except (DBAPIError, PoolTimeoutError) as error:
            raise LogUnavailable(f"the database does not answer: {error}") from error

    def live(question: Callable[[Connection, str], Sequence[UUID]]) -> Live:
        async def live_of(node: str) -> Sequence[UUID]:
            return await ask(lambda connection: question(connection, node))

        return live_of

    async def live_deployments(service: UUID, node: str) -> Sequence[UUID]:
        return await ask(lambda connection: live_deployments_of(connection, service, node))

    await NodeWatch(
        nc,
        dispatch,
        live(live_runs_of),
        live(live_jobs_of),
        settings.node_lost_after,
        live_deployments=live_deployments,
    ).run()
