"""The bus goes away and comes back under everything that watches it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import nats

from contracts.projects import CreateProject
from contracts.runs import RunDetail, StartRun
from events.log.streams import ensure_streams
from services.runtime.nats_accounts import permissions
from services.runtime.nats_roles import announce_users
from services.runtime.nats_users import NatsUser
from tests.bus.stack import commands, stack, training
from tests.nats_server import NatsServer


async def test_everything_goes_on_after_a_kill_of_the_server(own_nats_server: NatsServer) -> None:
    async def on_error(_: Exception) -> None:
        """Connections are lost here on purpose."""

    options = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.05, "error_cb": on_error}
    ours = await nats.connect(own_nats_server.url, **options)  # type: ignore[arg-type]
    theirs = await nats.connect(own_nats_server.url, **options)  # type: ignore[arg-type]
    await ensure_streams(ours.jetstream())
    await announce_users(ours, [NatsUser("alice", "U", permissions("alice"), "operator")])
    async with stack(ours) as parts, commands(parts), training(parts), stack(theirs) as other:
        project = str(uuid4())
        caller = await parts.caller()
        command = CreateProject(name=project, owner="a", dataset_name="d", training_yaml_name="c")
        await parts.intake.handle(command, caller, key="k1")
        own_nats_server.kill()
        own_nats_server.start()
        async with asyncio.timeout(30):
            while not (ours.is_connected and theirs.is_connected):
                await asyncio.sleep(0.01)
            # The watch of people
            person = await other.people.ensure("a newcomer")
            while parts.people.name_of(person) != "a newcomer":
                await asyncio.sleep(0.01)
            # Waiting for a launch
            answer = await parts.intake.handle(StartRun(project=project), caller, key="k2")
            assert msgspec.json.decode(answer.body, type=RunDetail).status == "running"
            # The queue
            body = msgspec.json.encode(StartRun(project=project))
            await theirs.jetstream().publish("commands.alice.runs.StartRun", body, headers={"command-id": "k3"})
            while (await ours.jetstream().stream_info("COMMANDS")).state.messages:
                await asyncio.sleep(0.05)
            assert (await parts.intake.outcome(caller, "k3")).status == "accepted"
    await ours.close()
    await theirs.close()
