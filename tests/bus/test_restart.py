"""The bus goes away and comes back under everything that watches it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import nats
from nats.aio.client import Client

from contracts.projects import CreateProject
from contracts.runs import RunDetail, StartRun
from events.log.streams import ensure_streams
from services.runtime.nats.accounts import permissions
from services.runtime.nats.roles import announce_users
from services.runtime.nats.users import NatsUser
from tests.bus.stack import commands, stack, training
from tests.bus.waiting import becomes_true, eventually
from tests.nats_server import NatsServer


async def test_everything_goes_on_after_a_kill_of_the_server(nats_server: NatsServer) -> None:
    async def on_error(_: Exception) -> None:
        """Connections are lost here on purpose."""

    back: list[asyncio.Event] = []

    async def connect() -> Client:
        again = asyncio.Event()
        back.append(again)

        async def on_reconnect() -> None:
            again.set()

        return await nats.connect(
            nats_server.url,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.05,
            error_cb=on_error,
            reconnected_cb=on_reconnect,
        )

    ours, theirs = await connect(), await connect()
    await ensure_streams(ours.jetstream())
    await announce_users(ours, [NatsUser("alice", "U", permissions("alice"), "operator")])
    async with stack(ours) as parts, commands(parts), training(parts), stack(theirs) as other:
        project = f"survivor {uuid4()}"
        caller = await parts.caller()
        command = CreateProject(name=project, owner="a", dataset_name="d", training_yaml_name="c")
        await parts.intake.handle(command, caller, key="k1")
        await asyncio.to_thread(nats_server.kill)
        await asyncio.to_thread(nats_server.start)
        for again in back:
            await asyncio.wait_for(again.wait(), 60)
        # The watch of people
        person = await other.people.ensure("a newcomer")
        await becomes_true(lambda: parts.people.name_of(person) == "a newcomer")
        # Waiting for a launch
        answer = await parts.intake.handle(StartRun(project=project), caller, key="k2")
        assert msgspec.json.decode(answer.body, type=RunDetail).status == "running"
        # The queue
        body = msgspec.json.encode(StartRun(project=project))
        await theirs.jetstream().publish("commands.alice.runs.StartRun", body, headers={"command-id": "k3"})

        async def drained() -> bool:
            return (await ours.jetstream().stream_info("COMMANDS")).state.messages == 0

        await eventually(drained)
        assert (await parts.intake.outcome(caller, "k3")).status == "accepted"
    await ours.close()
    await theirs.close()
