from __future__ import annotations

import asyncio
import json
from uuid import UUID, uuid4

import msgspec
import pytest

from contracts import subjects
from contracts.problems import InvalidBody, Refused
from contracts.projects import ArchiveProject, CreateProject, ProjectDetail, project_id
from contracts.runs import CancelRun, ReportRunEnded, RunDetail, StartRun
from contracts.tokens import IssueToken
from events.event import Origin
from services.runtime.intake import Answer
from tests.bus.conftest import Connect
from tests.bus.stack import Stack, stack, training


def create(name: str | None = None, dataset_name: str = "d.jsonl") -> CreateProject:
    name = name or f"项目 {uuid4()}"
    return CreateProject(name=name, owner="张三", dataset_name=dataset_name, training_yaml_name="c.yaml")


async def facts_about(parts: Stack, name: str) -> int:
    return len(await parts.log.read("projects", project_id(name)))


async def test_a_hundred_retries_make_one_fact_and_a_hundred_equal_answers(parts: Stack, connect: Connect) -> None:
    async with stack(await connect()) as other:
        caller = await parts.caller()
        command, key = create(), str(uuid4())
        answers = await asyncio.gather(
            *((parts, other)[n % 2].intake.handle(command, caller, key=key) for n in range(100))
        )
        assert len(set(map(msgspec.json.encode, answers))) == 1
        assert answers[0].status == 201
        assert await facts_about(parts, command.name) == 1
        late = await other.intake.handle(command, caller, key=key)
        assert late == answers[0]


async def test_another_body_under_the_same_key_is_refused(parts: Stack, connect: Connect) -> None:
    caller, key = await parts.caller(), str(uuid4())
    existing = create()
    await parts.intake.handle(existing, caller)
    async with stack(await connect()) as other:  # whichever comes first is a command that may be
        results = await asyncio.gather(
            parts.intake.handle(create(), caller, key=key),
            parts.intake.handle(create(), caller, key=key),
            other.intake.handle(ArchiveProject(project=existing.name), caller, key=key),
            return_exceptions=True,
        )
    refused = [result.code for result in results if isinstance(result, Refused)]
    assert refused == ["command_id_reused"] * 2
    assert len([result for result in results if isinstance(result, Answer)]) == 1


async def test_keys_of_different_people_have_nothing_in_common(parts: Stack) -> None:
    key, first, second = str(uuid4()), create(), create()
    one = await parts.intake.handle(first, await parts.caller("alice"), key=key)
    other = await parts.intake.handle(second, await parts.caller("bob"), key=key)
    assert one.aggregate_id == project_id(first.name)
    assert other.aggregate_id == project_id(second.name)


@pytest.mark.parametrize("key", ["", " ", "a b", "键", "x" * 201, "a\n"])
async def test_a_malformed_key_is_refused(parts: Stack, key: str) -> None:
    with pytest.raises(Refused) as refused:
        await parts.intake.handle(create(), await parts.caller(), key=key)
    assert (refused.value.code, refused.value.status) == ("invalid_command_id", 400)


async def test_a_refusal_is_repeated_in_the_language_of_who_asks(parts: Stack) -> None:
    caller, key = await parts.caller(), str(uuid4())
    command = create()
    with pytest.raises(Refused, match="project_not_found"):
        await parts.intake.handle(ArchiveProject(project=command.name), caller, key=key)
    await parts.intake.handle(command, caller)
    with pytest.raises(Refused) as refused:
        await parts.intake.handle(ArchiveProject(project=command.name), caller, key=key)
    assert refused.value.text("zh") == f"项目不存在：{command.name}"
    assert refused.value.text("en") == f"There is no project {command.name}"


async def test_every_wrong_field_of_a_repeated_refusal_is_there(parts: Stack) -> None:
    caller, key = await parts.caller(), str(uuid4())
    command = create("a/b", dataset_name="../x")
    for _ in range(2):
        with pytest.raises(InvalidBody) as refused:
            await parts.intake.handle(command, caller, key=key)
        assert [wrong.pointer for wrong in refused.value.wrongs] == ["/name", "/dataset_name"]


async def test_a_transient_refusal_is_not_kept(parts: Stack) -> None:
    caller, key = await parts.caller(), str(uuid4())
    command = create()
    await parts.intake.handle(command, caller)
    start = StartRun(project=command.name)
    with pytest.raises(Refused, match="no_training_node"):
        await parts.intake.handle(start, caller, key=key)
    assert (await parts.intake.outcome(caller, key)).status == "unsettled"
    async with training(parts):
        answer = await parts.intake.handle(start, caller, key=key)
    assert msgspec.json.decode(answer.body, type=RunDetail).status == "running"


async def test_who_waits_no_longer_is_told_that_it_is_at_work(connect: Connect) -> None:
    async with stack(await connect(), wait=0.2) as parts, stack(await connect(), wait=0.2) as other:
        caller, key = await parts.caller(), str(uuid4())
        command = create()
        await parts.intake.handle(command, caller)
        start = StartRun(project=command.name)
        asked = await other.nc.subscribe(subjects.NODE_ASSETS)  # a node that does not answer for 2 s
        await other.nc.flush()
        first = asyncio.create_task(parts.intake.handle(start, caller, key=key))
        await asked.next_msg(timeout=60)
        for each in (parts, other):
            assert (await each.intake.outcome(caller, key)).status == "at_work"
            with pytest.raises(Refused, match="command_in_progress"):
                await each.intake.handle(start, caller, key=key)
        with pytest.raises(Refused, match="no_training_node"):
            await first


async def test_a_run_is_answered_once_it_runs(parts: Stack) -> None:
    caller = await parts.caller()
    command = create()
    await parts.intake.handle(command, caller)
    async with training(parts):
        answer = await parts.intake.handle(StartRun(project=command.name), caller)
    view = msgspec.json.decode(answer.body, type=RunDetail)
    assert (answer.status, view.status, view.progress, view.id) == (201, "running", 0.05, answer.aggregate_id)
    assert answer.position is not None
    recorded = await parts.log.read("runs", view.id)
    assert answer.position == recorded[-1].meta.position


async def test_a_run_that_cannot_be_launched_answers_500_and_is_there(parts: Stack) -> None:
    caller, key = await parts.caller(), str(uuid4())
    command = create()
    await parts.intake.handle(command, caller)
    positions = []
    async with training(parts, fails="没有 bash"):
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                await parts.intake.handle(StartRun(project=command.name), caller, key=key)
            assert (refused.value.code, refused.value.status) == ("launch_failed", 500)
            assert "没有 bash" in refused.value.text("zh")
            positions.append(refused.value.position)
    outcome = await parts.intake.outcome(caller, key)
    assert outcome.status == "refused"
    assert outcome.aggregate_id is not None
    assert positions == [(await parts.log.read("runs", outcome.aggregate_id))[-1].meta.position] * 2
    run = (await parts.reads.run_detail(outcome.aggregate_id)).answer
    assert run is not None
    assert run.status == "failed"


async def test_past_the_bound_a_run_is_pending(connect: Connect) -> None:
    async with stack(await connect(), run_wait=0.1) as parts, training(parts):
        caller = await parts.caller()
        command = create()
        await parts.intake.handle(command, caller)
        parts.reads.lagging = True

        async def nothing(*_: object) -> None:
            return None

        parts.runs._look = nothing  # type: ignore[method-assign, assignment]  # as if nothing launched it
        answer = await parts.intake.handle(StartRun(project=command.name), caller)
    assert answer.status == 201
    assert answer.lagging
    assert msgspec.json.decode(answer.body, type=RunDetail).id == answer.aggregate_id


async def test_respond_async_does_not_wait(parts: Stack) -> None:
    caller = await parts.caller()
    command = create()
    await parts.intake.handle(command, caller)
    async with training(parts, fails="never mind"):
        answer = await parts.intake.handle(StartRun(project=command.name), caller, respond_async=True)
    assert answer.status == 202


async def test_a_cancellation_is_answered_once_nothing_is_alive(parts: Stack, connect: Connect) -> None:
    """Also of a training that ignores TERM, so that its node kills it first, later than a launch is waited for."""
    caller = await parts.caller()
    command = create()
    await parts.intake.handle(command, caller)
    async with stack(await connect(), run_wait=0.05) as other, training(parts):
        started = await parts.intake.handle(StartRun(project=command.name), caller)
        run_id = started.aggregate_id
        assert run_id is not None
        canceling = asyncio.create_task(other.intake.handle(CancelRun(project=command.name, run_id=run_id), caller))
        await asyncio.wait([canceling], timeout=0.5)
        await parts.dispatch(
            ReportRunEnded(run_id=run_id, attempt=1, exit_code=137),
            Origin(actor="service:training", command_id=uuid4()),
        )
        answer = await canceling
    assert (answer.status, msgspec.json.decode(answer.body, type=RunDetail).status) == (200, "canceled")


async def test_a_cancellation_is_answered_within_a_bound(parts: Stack, connect: Connect) -> None:
    caller = await parts.caller()
    command = create()
    await parts.intake.handle(command, caller)
    async with training(parts):
        started = await parts.intake.handle(StartRun(project=command.name), caller)
    assert started.aggregate_id is not None
    async with stack(await connect(), cancel_wait=0.2) as other:
        answer = await other.intake.handle(CancelRun(project=command.name, run_id=started.aggregate_id), caller)
    # nobody ended it within the bound
    assert (answer.status, msgspec.json.decode(answer.body, type=RunDetail).status) == (200, "running")


@pytest.mark.parametrize("trouble", ["lagging", "down"])
async def test_read_models_in_trouble_do_not_hide_what_was_accepted(parts: Stack, trouble: str) -> None:
    caller = await parts.caller()
    command = create()
    setattr(parts.reads, trouble, True)
    created = await parts.intake.handle(command, caller)
    archived = await parts.intake.handle(ArchiveProject(project=command.name), caller)
    assert created.lagging
    assert archived.lagging
    view = msgspec.json.decode(archived.body, type=ProjectDetail)
    assert (view.status, view.owner) == ("archived", "张三")


async def test_a_caller_who_goes_away_leaves_no_half_state(parts: Stack) -> None:
    caller, key = await parts.caller(), str(uuid4())
    begun = False
    for moment in range(12):
        command = create()
        task = asyncio.create_task(parts.intake.handle(command, caller, key=f"{key}-{moment}"))
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        begun = bool(parts.intake._working)
        answer = await parts.intake.handle(command, caller, key=f"{key}-{moment}")
        assert answer.status == 201
        assert await facts_about(parts, command.name) == 1
    assert begun


async def test_roles_are_checked_and_refusals_recorded(parts: Stack) -> None:
    reader = await parts.caller("rita", "reader")
    before = await parts.log.last_position()
    with pytest.raises(Refused, match="forbidden"):
        await parts.intake.handle(create(), reader)
    operator = await parts.caller()
    with pytest.raises(Refused, match="forbidden"):
        await parts.intake.handle(IssueToken(owner="x", role="admin", digest="0" * 64), operator)
    recorded = []
    async with asyncio.timeout(60):
        async for batch in parts.log.follow(before, ("commands",)):
            recorded += batch
            if len(recorded) >= 2:
                break
    assert [(entry.fact.command, entry.fact.code) for entry in recorded] == [  # type: ignore[attr-defined]
        ("CreateProject", "forbidden"),
        ("IssueToken", "forbidden"),
    ]


async def test_an_outcome_is_shown_to_its_own_and_to_administrators(parts: Stack) -> None:
    alice, bob, carol = await parts.caller(), await parts.caller("bob"), await parts.caller("carol", "admin")
    key = str(uuid4())  # keys may read as ids
    answer = await parts.intake.handle(create(), alice, key=key)
    by_key = await parts.intake.outcome(alice, key)
    assert by_key == await parts.intake.outcome(alice, str(answer.command_id))
    assert by_key == await parts.intake.outcome(carol, str(answer.command_id))
    assert by_key.result is not None
    assert json.loads(bytes(by_key.result)) == json.loads(answer.body)
    for asked in (key, str(answer.command_id), str(UUID(int=7)), "键", ""):
        with pytest.raises(Refused, match="command_not_found"):
            await parts.intake.outcome(bob, asked)


async def test_lag_is_told_as_it_is_when_the_answer_is_given(parts: Stack) -> None:
    caller, command = await parts.caller(), create()
    for lagging in (True, False, True):
        parts.reads.lagging = lagging
        assert (await parts.intake.handle(command, caller, key=command.name[3:])).lagging is lagging
