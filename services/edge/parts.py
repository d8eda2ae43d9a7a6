"""The edge's parts, started in the order in which they need each other and stopped in the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
from nats.aio.client import Client

from events.deployments import DeploymentFact
from events.log import EventLog
from events.log.jetstream import JetStreamLog
from projections.database import Database
from services.edge.auth import Tokens
from services.edge.context import Edge, Uploads
from services.edge.deid import DeidTexts, TextLimits
from services.edge.deid_progress import DeidProgress
from services.edge.parameters import Past
from services.runtime.answers.deployments import AWAITED, DeploymentAnswers
from services.runtime.answers.views import Views
from services.runtime.deidentifying.asking import Deidentifying
from services.runtime.deidentifying.secret import DeidSecret
from services.runtime.dispatch import Dispatch
from services.runtime.gathering.sources import Sources
from services.runtime.intake import Intake, Waits
from services.runtime.live_runs import LiveRuns
from services.runtime.nodes.asking import Nodes
from services.runtime.nodes.deployments import Deployments
from services.runtime.nodes.files import NodeFiles
from services.runtime.nodes.states import NodeStates
from services.runtime.outcomes import Outcomes
from services.runtime.people import People
from services.runtime.reads import Reads
from services.runtime.settings import SettingRefused, Settings
from services.runtime.settling import Facts, Runs
from services.runtime.storage import Storage
from services.runtime.storage.keeping import Keeper
from services.runtime.storage.resumable import Resumable
from services.runtime.uploads_on_record import UploadsOnRecord


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    edge: Edge
    log: EventLog
    people: People
    tokens: Tokens
    intake: Intake
    sources: Sources


@asynccontextmanager
async def started(
    settings: Settings, nc: Client, database: Database, *, log_patience: float = 10.0
) -> AsyncIterator[Parts]:
    """Everything but the HTTP server; `nc` and `database` stay the caller's. Raises LogUnavailable and
    SettingRefused.

    `log_patience`: seconds until a log that does not answer counts as away.
    """
    log = JetStreamLog(nc, patience=log_patience)
    people = People(nc)
    nodes = Nodes(nc)
    outcomes = Outcomes(nc, wait=settings.command_wait_seconds, patience=log_patience)
    runs = Runs(log)
    tokens = Tokens(log)
    reads = Reads(database, nc, people.name_of, log_lines=settings.run_log_lines)
    deployments = Deployments(nc, reads)
    launches = Facts(log, DeploymentFact.context, AWAITED)
    answers = DeploymentAnswers(
        log, launches, deployments, launch=settings.deploy_wait_seconds, stop=settings.deploy_stop_seconds
    )
    secret = DeidSecret(settings)
    await secret.start(log)
    sources = Sources(
        log=log,
        people=people,
        nodes=nodes,
        start_command_template=settings.start_command_template,
        allow_start_command=settings.allow_start_command,
        max_wall_seconds=settings.max_wall_seconds,
        serving=deployments,
        seal=secret.seal,
        uploads=UploadsOnRecord(reads),
    )
    live = LiveRuns(nc)
    waits = Waits(
        run=settings.run_wait_seconds,
        # What ignores TERM is killed only then, and has to be seen to be gone.
        cancel=settings.run_stop_seconds + settings.run_wait_seconds,
        projection=settings.projection_wait_seconds,
    )
    dispatch = Dispatch(sources)
    views = Views(log, people, reads, answers, patience=waits.projection)
    intake = Intake(dispatch, views, reads, outcomes, runs, waits, answers)
    uploads = _uploads(settings)
    keeper = Keeper(uploads.storage, uploads.resumable, log, dispatch)
    past = Past(log, reads, settings.projection_wait_seconds)
    engine = Deidentifying()
    limits = TextLimits(settings.deid_texts, settings.deid_text_bytes)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, uploads.storage.close)
        for part in (people, nodes, outcomes, runs, launches, tokens, reads, live, keeper):
            stack.push_async_callback(part.stop)
            await part.start()
        stack.push_async_callback(engine.stop)
        stack.push_async_callback(intake.stop, settings.stop_seconds)
        edge = Edge(
            log=log,
            people=people,
            reads=reads,
            past=past,
            intake=intake,
            live=live,
            files=NodeFiles(nc),
            nodes=NodeStates(nc),
            deployments=deployments,
            deid_progress=DeidProgress(nc),
            deid_texts=DeidTexts(log, dispatch, engine, secret, limits),
            uploads=uploads,
        )
        yield Parts(edge=edge, log=log, people=people, tokens=tokens, intake=intake, sources=sources)


def _uploads(settings: Settings) -> Uploads:
    """Raises SettingRefused."""
    storage = Storage(settings.storage)
    resumable = Resumable(storage, settings.resumable_hours * 3600)
    try:
        storage.prepare()
        resumable.prepare()
    except OSError as error:
        raise SettingRefused(
            f"TRAINLEDGER_STORAGE_DIR names {settings.storage}, which cannot be made: {error.strerror}."
        ) from error
    return Uploads(
        storage=storage,
        resumable=resumable,
        limit=settings.upload_limit_bytes,
        config_limit=settings.train_config_limit_bytes,
        resumable_limit=settings.resumable_limit_bytes,
    )
