from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from uuid import uuid4

import msgspec
import nats
import pytest

from contracts import subjects
from contracts.projects import CreateProject
from contracts.runs import AssetReport, StartRun
from events.log.streams import ensure_streams
from events.runs import RunRequested
from services.commands import queue
from services.runtime.nats.accounts import permissions
from services.runtime.nats.roles import announce_users
from services.runtime.nats.users import NatsUser
from tests.bus.stack import commands, stack, training
from tests.bus.waiting import eventually
from tests.nats_server import NatsServer

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("appended", [False, True], ids=["before its fact", "after its fact"])
async def test_a_queued_command_of_a_killed_process_is_handled_once(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, appended: bool
) -> None:
    monkeypatch.setattr(queue, "_ACK_WAIT", 1.0)
    nc = await nats.connect(nats_server.url)
    js = nc.jetstream()
    await ensure_streams(js)
    await announce_users(nc, [NatsUser("alice", "U", permissions("alice"), "operator")])
    async with stack(nc) as parts:
        project = f"killed {uuid4()}"
        command = CreateProject(name=project, owner="a", dataset_name="d", training_yaml_name="c")
        await parts.intake.handle(command, await parts.caller())
        after = await parts.log.last_position()
        questions = await nc.subscribe(subjects.NODE_ASSETS)
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bus.worker", nats_server.url, cwd=ROOT
        )
        await js.publish("commands.alice.runs.StartRun", msgspec.json.encode(StartRun(project=project)))
        question = await questions.next_msg(timeout=60)
        await questions.unsubscribe()
        if appended:
            await question.respond(msgspec.json.encode(AssetReport(node="n1")))
            async with asyncio.timeout(60):
                async for _ in parts.log.follow(after, ("runs",)):
                    break
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        async with training(parts, after=after), commands(parts):

            async def drained() -> bool:
                return (await js.stream_info("COMMANDS")).state.messages == 0

            await eventually(drained)
        requested = []
        async with asyncio.timeout(60):
            async for batch in parts.log.follow(after, ("runs",)):
                requested += [recorded for recorded in batch if isinstance(recorded.fact, RunRequested)]
                if batch[-1].meta.position >= await parts.log.last_position():
                    break
        assert len(requested) == 1
    await nc.close()
