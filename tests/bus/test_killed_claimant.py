from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from contracts import subjects
from contracts.projects import CreateProject
from contracts.runs import AssetReport, RunDetail, StartRun
from events.runs import RunRequested
from services.runtime.commands import new_aggregate
from services.runtime.intake import command_id
from services.runtime.nats.embedded import EmbeddedNats
from tests.bus.conftest import Connect
from tests.bus.stack import Stack, stack, training
from tests.bus.waiting import becomes_true

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("appended", [False, True], ids=["before its fact", "after its fact"])
async def test_a_hundred_retries_around_a_killed_claimant(
    parts: Stack, connect: Connect, server: EmbeddedNats, seeds: Callable[[str], Path], appended: bool
) -> None:
    caller, key = await parts.caller(), str(uuid4())
    project = f"killed {uuid4()}"
    await parts.intake.handle(
        CreateProject(name=project, owner="alice", dataset_name="d", training_yaml_name="c"), caller
    )
    after = await parts.log.last_position()
    run_id = new_aggregate(command_id(caller.person, key))
    questions = await parts.nc.subscribe(subjects.NODE_ASSETS)
    claimant = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bus.claimant", str(server.url), str(seeds("service")), project, key, cwd=ROOT
    )
    question = await questions.next_msg(timeout=60)  # it has claimed, and asks whether the assets are there
    await questions.unsubscribe()
    if appended:
        await question.respond(msgspec.json.encode(AssetReport(node="n1")))
        async with asyncio.timeout(60):
            async for batch in parts.log.follow(after, ("runs",)):
                if any(recorded.meta.aggregate_id == run_id for recorded in batch):
                    break
    async with stack(await connect()) as other:
        start = StartRun(project=project)
        retries = [asyncio.create_task((parts, other)[n % 2].intake.handle(start, caller, key=key)) for n in range(100)]
        await becomes_true(lambda: bool(parts.outcomes._waiting and other.outcomes._waiting))
        async with training(parts, after=after):
            claimant.send_signal(signal.SIGKILL)
            await claimant.wait()
            killed = time.monotonic()
            answers = await asyncio.gather(*retries)
    assert time.monotonic() - killed < 15  # who is at work is waited for 20 s
    assert len(set(map(msgspec.json.encode, answers))) == 1
    assert msgspec.json.decode(answers[0].body, type=RunDetail).status == "running"
    recorded = await parts.log.read("runs", run_id)
    assert [type(entry.fact) for entry in recorded].count(RunRequested) == 1
