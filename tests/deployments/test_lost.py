"""A deployment service that is gone for good, or for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from nats.aio.client import Client

from contracts.deployments import ReportDeploymentLost, RestartDeployment
from contracts.nodes import ServingHeartbeat
from events.deployments import (
    DeploymentFailed,
    DeploymentRemoved,
    DeploymentStarted,
    DeploymentStopRequested,
)
from events.event import Event
from events.log.connection import connect
from services.deployment.presence import SignsOfLife
from services.projector.node_watch import NodeWatch
from services.runtime.nodes.heartbeats import Heartbeats
from tests.deployments.place import Place, origin
from tests.training.ledger import until

HEARTBEAT = 0.2
PATIENCE = 10 * HEARTBEAT


@pytest.fixture
async def nc(nats_url: str) -> AsyncIterator[Client]:
    client = await connect(nats_url)
    yield client
    await client.close()


@asynccontextmanager
async def watched(place: Place, nc: Client, deployments: Sequence[UUID]) -> AsyncIterator[None]:
    async def nothing(_: str) -> Sequence[UUID]:
        return ()

    async def live(service: UUID, node: str) -> Sequence[UUID]:
        return deployments if (service, node) == (place.service, place.name) else ()

    watch = NodeWatch(nc, place.dispatch, nothing, nothing, PATIENCE, live_deployments=live, look=HEARTBEAT)
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def kinds(place: Place, deployment_id: UUID) -> list[type[Event]]:
    return [type(fact) for fact in await place.facts(deployment_id)]


async def test_what_a_gone_service_served_fails_and_is_stopped_when_it_returns(place: Place, nc: Client) -> None:
    async with place.served():
        kept, stopping = await place.create(extra_args="--own-session-worker"), await place.create()
        await place.fact(kept, DeploymentStarted)
        await place.fact(stopping, DeploymentStarted)
    await place.remove(stopping)
    waiting = await place.create()  # asked for as the service died
    await Heartbeats(nc).put_serving(place.service, ServingHeartbeat(node=place.name))
    async with watched(place, nc, [kept, stopping, waiting]), watched(place, nc, [kept, stopping, waiting]):
        lost = await place.fact(kept, DeploymentFailed)
        assert (lost.cause, lost.attempt) == ("lost", 1)
        assert place.name in lost.reason
        assert (await place.fact(waiting, DeploymentFailed)).attempt == 0
        await place.fact(stopping, DeploymentRemoved)
    assert (await kinds(place, stopping))[-3:] == [DeploymentStopRequested, DeploymentFailed, DeploymentRemoved]
    assert place.pids(kept)
    assert place.pids(stopping)
    await place.remove(kept)  # it need not wait for a node that may never return
    assert (await kinds(place, kept))[-1] is DeploymentRemoved
    async with place.served():
        await until(lambda: not place.pids(kept) and not place.pids(stopping))
        await until_released(place)
    assert (await kinds(place, kept)).count(DeploymentFailed) == 1


async def until_released(place: Place) -> None:
    async with asyncio.timeout(60):
        while await place.held():  # noqa: ASYNC110 - no fact tells
            await asyncio.sleep(0.02)


async def test_a_service_that_is_heard_of_is_left_alone(place: Place, nc: Client) -> None:
    async with place.served():
        deployment_id = await place.create()
        await place.fact(deployment_id, DeploymentStarted)
        signs = asyncio.create_task(SignsOfLife(nc, place.node(), HEARTBEAT).keep())
        async with watched(place, nc, [deployment_id]):
            await asyncio.sleep(PATIENCE + 1.0)  # the time is what is tried
        signs.cancel()
        assert (await place.state(deployment_id)).status == "running"


async def give_up(place: Place, deployment_id: UUID) -> None:
    report = ReportDeploymentLost(
        deployment_id=deployment_id, service=place.service, node=place.name, silent_seconds=301.0
    )
    await place.dispatch(report, origin())


@pytest.mark.parametrize("options", ["", "--ignore-term"])
async def test_a_service_that_was_only_cut_off_stops_what_was_given_up(place: Place, options: str) -> None:
    place.settings["stop_seconds"] = 0.3
    async with place.served():
        deployment_id = await place.create(extra_args=options)
        await place.fact(deployment_id, DeploymentStarted)
        if options:
            await place.remove(deployment_id)
        await give_up(place, deployment_id)
        await until(lambda: not place.pids(deployment_id))
        await until_released(place)
    assert (await kinds(place, deployment_id)).count(DeploymentFailed) == 1


async def test_what_was_given_up_and_is_restarted_is_there_once(place: Place) -> None:
    async with place.served():
        deployment_id = await place.create()
        await place.fact(deployment_id, DeploymentStarted)
    await give_up(place, deployment_id)
    await place.dispatch(RestartDeployment(deployment_id=deployment_id), origin())
    assert place.pids(deployment_id, 1)
    async with place.served():
        await place.fact(deployment_id, DeploymentStarted, 2)
        assert not place.pids(deployment_id, 1)
        assert place.pids(deployment_id, 2)
