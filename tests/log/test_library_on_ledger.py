"""Applications of the library `eventsourcing` on TrainLedger's own facts, and its subscriptions."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import (
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    StoredEvent,
)
from nats.aio.client import Client

from events.event import Origin
from events.log import Change
from events.log.jetstream import JetStreamLog
from events.log.mapper import LedgerEvent, projector
from events.log.streams import EVENTS
from events.projects import Project, ProjectArchived, ProjectCreated, ProjectRevised, ProjectUnarchived, evolve
from events.runs import RunRequested
from events.upcasting import UPCASTS
from tests.log_suite import CREATED, ORIGIN, PERSON, after, collect, creation
from tests.nats_server import NatsServer
from tests.ports import free_port

PROJECTS = projector(Project(), evolve)


class Projects(Application[UUID]):
    def project(self, project_id: UUID, version: int | None = None) -> Any:
        return self.repository.get(project_id, version=version, projector_func=PROJECTS)


@pytest.fixture
def environment(nats_server: NatsServer, ledger: Client) -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "events.log.recorder",
        "MAPPER_TOPIC": "events.log.mapper:FactMapper",
        "NATS_URL": nats_server.url,
    }


@pytest.fixture
def application(environment: dict[str, str]) -> Iterator[Projects]:
    with Projects(env=environment) as application:
        yield application


@pytest.fixture
def log(ledger: Client) -> JetStreamLog:
    return JetStreamLog(ledger)


async def test_the_librarys_repository_replays_the_ledgers_aggregates(log: JetStreamLog, application: Projects) -> None:
    [created] = await log.append(creation(), origin=ORIGIN)
    project = created.meta.aggregate_id
    [revised] = await log.append(after(created, ProjectRevised(description="新", tags=())), origin=ORIGIN)
    await log.append(creation(), origin=ORIGIN)
    await log.append(after(revised, ProjectArchived()), origin=ORIGIN)

    def look() -> None:
        assert application.project(project, version=1).state == evolve(Project(), CREATED)
        assert application.project(project, version=2).state.description == "新"
        latest = application.project(project)
        assert (latest.id, latest.version, latest.state.archived) == (project, 3, True)
        with pytest.raises(AggregateNotFoundError):
            application.project(uuid4())

    await asyncio.to_thread(look)


async def test_the_librarys_notification_log_lists_the_ledger(log: JetStreamLog, application: Projects) -> None:
    run = RunRequested(project_id=uuid4(), node="n", dataset="d", training_yaml="y", argv=("true",))
    [created] = await log.append(creation(), origin=ORIGIN)
    await log.append(Change(context="runs", aggregate_id=uuid4(), facts=(run,)), origin=ORIGIN)
    section = await asyncio.to_thread(lambda: application.notification_log["1,10"])
    assert [(one.id, one.topic) for one in section.items] == [(1, "ProjectCreated"), (2, "RunRequested")]
    assert section.items[0].originator_id == created.meta.aggregate_id
    event: Any = application.mapper.to_domain_event(section.items[0])
    assert event == LedgerEvent(created.meta.aggregate_id, 1, CREATED)


async def test_what_the_library_saves_is_a_fact(log: JetStreamLog, application: Projects) -> None:
    [created] = await log.append(creation(), origin=ORIGIN)
    project = created.meta.aggregate_id
    origin = Origin(actor=str(PERSON), command_id=uuid4())

    def save() -> None:
        application.save(LedgerEvent(project, 2, ProjectArchived()), origin=origin)
        application.save(LedgerEvent(project, 3, ProjectUnarchived()))
        with pytest.raises(IntegrityError):
            application.save(LedgerEvent(project, 3, ProjectArchived()))

    await asyncio.to_thread(save)
    _, archived, unarchived = await log.read("projects", project)
    assert (archived.fact, archived.meta.version, archived.meta.origin) == (ProjectArchived(), 2, origin)
    assert (unarchived.fact, unarchived.meta.origin.actor) == (ProjectUnarchived(), "service:eventsourcing")
    assert len(await collect(log, 3)) == 3
    await log.append(after(unarchived, ProjectArchived()), origin=ORIGIN)


async def test_old_facts_reach_the_library_in_todays_shape(
    ledger: Client, application: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = uuid4()
    headers = {
        "ce-id": str(uuid4()),
        "ce-type": "ProjectCreated",
        "ce-time": "2024-04-12T08:45:09Z",
        "ce-aggregateversion": "1",
        "ce-actor": "service:test",
        "ce-commandid": str(uuid4()),
    }
    old = b'{"title":"n","owner":"%s","dataset_name":"d","training_yaml_name":"y"}' % str(PERSON).encode()
    await ledger.jetstream().publish(f"events.projects.{project}", old, headers=headers)
    monkeypatch.setattr(ProjectCreated, "revision", 2)
    monkeypatch.setitem(UPCASTS, ("ProjectCreated", 1), lambda body: body | {"name": body["title"]})
    replayed = await asyncio.to_thread(application.project, project)
    assert replayed.state.name == "n"


async def test_only_facts_enter_the_ledger(log: JetStreamLog, application: Projects) -> None:
    def insert() -> None:
        recorder = application.recorder
        with pytest.raises(NotSupportedError, match="topic1 is no fact of the ledger"):
            recorder.insert_events([StoredEvent(uuid4(), 1, "topic1", b"state1")])
        with pytest.raises(ValueError, match="name"):
            recorder.insert_events([StoredEvent(uuid4(), 1, "ProjectCreated", b"{}")])
        with pytest.raises(InfrastructureFactoryError, match="NATS_STREAM"):
            application.factory.process_recorder()

    await asyncio.to_thread(insert)
    assert await log.last_position() == 0


async def test_snapshots_of_the_ledgers_aggregates_stay_out_of_it(
    log: JetStreamLog, environment: dict[str, str]
) -> None:
    def insert() -> None:
        factory = InfrastructureFactory.construct(environment)
        snapshots, originator = factory.aggregate_recorder("snapshots"), uuid4()
        for version in (4, 2):  # also one that is older than the newest
            snapshots.insert_events([StoredEvent(originator, version, "snapshot", b"\x00\xff")])
        with pytest.raises(IntegrityError):
            snapshots.insert_events([StoredEvent(originator, 2, "snapshot", b"")])
        assert [one.originator_version for one in snapshots.select_events(originator)] == [2, 4]
        [latest] = snapshots.select_events(originator, desc=True, limit=1)
        assert (latest.originator_version, latest.state) == (4, b"\x00\xff")
        factory.close()

    await asyncio.to_thread(insert)
    assert await log.last_position() == 0


def test_originators_and_topics_may_be_any_text(nats_server: NatsServer) -> None:
    factory = InfrastructureFactory.construct(
        {
            "PERSISTENCE_MODULE": "events.log.recorder",
            "NATS_URL": nats_server.url,
            "NATS_STREAM": f"ANY-TEXT-{os.getpid()}",
        }
    )
    recorder = factory.application_recorder()
    identities: list[UUID | str] = ["账户 1", "a.b.*.>", "", "%41", "A", str(uuid4()), uuid4()]
    for number, identity in enumerate(identities, 1):
        event = StoredEvent(identity, 1, f"模块:类 {number}\r\n", bytes(range(256)))
        assert recorder.insert_events([event]) == [number]
        assert recorder.select_events(identity) == [event]
    notifications = recorder.select_notifications(start=1, limit=100)
    assert [one.originator_id for one in notifications] == identities
    with pytest.raises(IntegrityError):
        recorder.insert_events([StoredEvent("A", 1, "t", b""), StoredEvent("B", 1, "t", b"")])
    assert recorder.select_events("B") == []
    factory.close()


def test_without_a_server_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.log.loop_thread._CONNECTED_WITHIN", 0.3)
    url = f"nats://127.0.0.1:{free_port()}"
    factory = InfrastructureFactory.construct({"PERSISTENCE_MODULE": "events.log.recorder", "NATS_URL": url})
    with pytest.raises(OperationalError, match=f"no NATS server answers at {url}"):
        factory.application_recorder()


def test_a_server_that_lets_nobody_in_is_not_said_to_be_away(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, "authorization { token: secret }")
    server.start()
    try:
        factory = InfrastructureFactory.construct({"PERSISTENCE_MODULE": "events.log.recorder", "NATS_URL": server.url})
        with pytest.raises(OperationalError, match=f"{server.url} does not let anybody in"):
            factory.application_recorder()
    finally:
        server.stop()


def test_a_stream_name_that_is_none_is_refused() -> None:
    with pytest.raises(InfrastructureFactoryError, match="NATS_STREAM"):
        InfrastructureFactory.construct({"PERSISTENCE_MODULE": "events.log.recorder", "NATS_STREAM": "a.b"})


@pytest.mark.slow
async def test_a_subscriber_that_sleeps_loses_none_of_100_000_events(
    log: JetStreamLog, ledger: Client, application: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sleeps now and then, and three times for so long that the server forgets its consumer."""
    monkeypatch.setattr("events.log.follow._INACTIVE", 0.5)
    total, at_once = 100_000, 1_000
    loop = asyncio.get_running_loop()

    async def forgotten() -> None:
        while await ledger.jetstream().consumers_info(EVENTS):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)

    def read() -> list[int]:
        seen = []
        with application.recorder.subscribe(gt=0) as subscription:
            for notification in subscription:
                seen.append(notification.id)
                if len(seen) in (10_000, 50_000, 90_000):
                    asyncio.run_coroutine_threadsafe(forgotten(), loop).result(60)
                if len(seen) % 5_000 == 0:
                    time.sleep(0.05)  # the slowness under test
                if len(seen) == total:
                    break
        return seen

    reading = asyncio.create_task(asyncio.to_thread(read))
    for _ in range(total // at_once):
        facts = (ProjectArchived(),) * at_once
        await log.append(Change(context="projects", aggregate_id=uuid4(), facts=facts), origin=ORIGIN)
    async with asyncio.timeout(120):
        assert await reading == list(range(1, total + 1))
