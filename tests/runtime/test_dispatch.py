"""Dispatch on the in-memory log: conflicts, repeated commands, refusals on record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from contracts.leases import TakeLease, Wish
from contracts.nodes import node_id
from contracts.problems import Refused
from contracts.projects import ArchiveProject, CreateProject, ProjectChanges, ReviseProject, project_id
from contracts.runs import AssetReport, StartRun
from events.commands import CommandRefused
from events.event import Origin, Recorded
from events.log import Change, Conflict, LogUnavailable
from events.log.memory import MemoryLog
from events.projects import ProjectCreated, ProjectRevised
from services.runtime.commands import LEASES, PROJECTS, new_aggregate
from services.runtime.dispatch import Dispatch, load
from services.runtime.gathering.sources import Sources

ALICE = UUID("aaaaaaaa-0000-4000-8000-000000000001")
CREATE = CreateProject(name="qwen", owner="alice", dataset_name="d.jsonl", training_yaml_name="c.yaml")
ALL_THERE = AssetReport(node="box")
QWEN = project_id("qwen")


class OnePerson:
    async def ensure(self, name: str) -> UUID:
        assert name == "alice"
        return ALICE


class OneNode:
    def __init__(self, report: AssetReport | None = ALL_THERE) -> None:
        self.report = report
        self.asked: list[tuple[str, ...]] = []

    async def assets(self, names: tuple[str, ...]) -> AssetReport | None:
        self.asked.append(names)
        return self.report

    async def assets_of(self, node: str, names: tuple[str, ...], checkpoints: tuple[str, ...]) -> AssetReport | None:
        self.asked.append((*names, *checkpoints))
        return self.report


class ArchivingNode(OneNode):
    """Answers once somebody else has archived the project."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__()
        self.log = log

    async def assets(self, names: tuple[str, ...]) -> AssetReport | None:
        await dispatch_on(self.log)(ArchiveProject(project="qwen"), origin_of())
        return await super().assets(names)


class SilentLog(MemoryLog):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def read(self, context: str, aggregate_id: UUID, after: int = 0) -> list[Recorded]:
        self.asked.set()
        await asyncio.Future[None]()
        raise AssertionError


class ContendedLog(MemoryLog):
    """Lets somebody else append to the aggregate just before each of the first `rivals` appends."""

    def __init__(self, rivals: int) -> None:
        super().__init__()
        self.rivals = rivals

    async def append(self, *changes: Change, origin: Origin, time: datetime | None = None) -> list[Recorded]:
        if self.rivals and changes[0].expected:
            self.rivals -= 1
            rival = Change(
                context=changes[0].context,
                aggregate_id=changes[0].aggregate_id,
                facts=(ProjectRevised(description=f"rival {self.rivals}"),),
                expected=changes[0].expected,
                version=changes[0].version,
            )
            await super().append(rival, origin=origin_of())
        return await super().append(*changes, origin=origin, time=time)


def origin_of(command_id: UUID | None = None) -> Origin:
    return Origin(actor=str(ALICE), command_id=command_id or uuid4())


def dispatch_on(log: MemoryLog, node: OneNode | None = None) -> Dispatch:
    return Dispatch(
        Sources(
            log=log,
            people=OnePerson(),
            nodes=node or OneNode(),
            start_command_template="bash run.sh {training_yaml_name}",
            allow_start_command=False,
        )
    )


async def facts_of(log: MemoryLog, context: str, aggregate_id: UUID) -> Sequence[object]:
    return [entry.fact for entry in await log.read(context, aggregate_id)]


async def test_a_command_becomes_a_fact_with_its_origin() -> None:
    log = MemoryLog()
    origin = origin_of()
    accepted = await dispatch_on(log)(CREATE, origin)
    (recorded,) = await log.read("projects", QWEN)
    assert recorded.fact == ProjectCreated(
        name="qwen", owner=ALICE, dataset_name="d.jsonl", training_yaml_name="c.yaml"
    )
    assert (recorded.meta.version, recorded.meta.position, recorded.meta.origin) == (1, accepted.position, origin)
    assert accepted.aggregate_id == QWEN
    assert accepted.state.name == "qwen"
    assert not accepted.repeated


async def test_a_repeated_command_appends_nothing_and_finds_what_it_made() -> None:
    log, origin = MemoryLog(), origin_of()
    dispatch = dispatch_on(log)
    first = await dispatch(CREATE, origin)
    again = await dispatch(CREATE, origin)
    assert again.repeated
    assert (again.position, again.recorded) == (first.position, await log.read("projects", QWEN))
    assert await log.last_position() == first.position


async def test_a_repeated_start_is_the_same_run_although_its_assets_are_gone() -> None:
    log, node, origin = MemoryLog(), OneNode(), origin_of()
    dispatch = dispatch_on(log, node)
    await dispatch(CREATE, origin_of())
    first = await dispatch(StartRun(project="qwen"), origin)
    node.report = AssetReport(node="box", missing=("d.jsonl",))
    again = await dispatch(StartRun(project="qwen"), origin)
    assert first.aggregate_id == again.aggregate_id == new_aggregate(origin.command_id)
    assert again.repeated
    assert node.asked == [("d.jsonl", "c.yaml")]


async def test_the_same_name_by_many_at_once_is_taken_once() -> None:
    log = MemoryLog()
    dispatch = dispatch_on(log)
    outcomes = await asyncio.gather(*(dispatch(CREATE, origin_of()) for _ in range(20)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refused) == 19
    assert {outcome.code for outcome in refused} == {"project_exists"}
    assert len(await log.read("projects", QWEN)) == 1


async def test_a_conflict_is_decided_again_on_what_the_rival_did() -> None:
    log = ContendedLog(rivals=3)
    dispatch = dispatch_on(log)
    await dispatch(CREATE, origin_of())
    await dispatch(ReviseProject(project="qwen", changes=ProjectChanges(description="mine")), origin_of())
    loaded = await load(log, PROJECTS, QWEN)
    assert loaded.state.description == "mine"
    assert [entry.meta.version for entry in loaded.recorded] == [1, 2, 3, 4, 5]


async def test_endless_contention_is_a_refusal_not_an_endless_loop() -> None:
    log = ContendedLog(rivals=1_000)
    dispatch = dispatch_on(log)
    await dispatch(CREATE, origin_of())
    with pytest.raises(Refused) as refused:
        await dispatch(ReviseProject(project="qwen", changes=ProjectChanges(description="mine")), origin_of())
    assert refused.value.code == "too_much_contention"


async def test_nobody_waits_without_bound_for_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.dispatch._LONGEST_TURN", 0.05)
    log = SilentLog()
    dispatch = dispatch_on(log)
    first = asyncio.create_task(dispatch(ArchiveProject(project="qwen"), origin_of()))
    await log.asked.wait()
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(dispatch(ArchiveProject(project="qwen"), origin_of()), 60)
    first.cancel()
    await asyncio.wait([first])


async def test_a_project_that_is_archived_while_its_assets_are_asked_for_starts_no_run() -> None:
    log = MemoryLog()
    await dispatch_on(log)(CREATE, origin_of())
    with pytest.raises(Refused) as refused:
        await dispatch_on(log, ArchivingNode(log))(StartRun(project="qwen"), origin_of())
    assert refused.value.code == "project_archived"


async def test_a_refusal_is_on_record_once_without_its_body() -> None:
    log, origin = MemoryLog(), origin_of()
    dispatch = dispatch_on(log)
    for _ in range(2):
        with pytest.raises(Refused):
            await dispatch(ArchiveProject(project="nobody's"), origin)
    refusal = CommandRefused(command="ArchiveProject", code="project_not_found")
    assert await facts_of(log, "commands", origin.command_id) == [refusal]


async def test_assets_of_a_project_that_cannot_run_are_not_asked_for() -> None:
    log, node = MemoryLog(), OneNode()
    dispatch = dispatch_on(log, node)
    with pytest.raises(Refused):
        await dispatch(StartRun(project="qwen"), origin_of())
    await dispatch(CREATE, origin_of())
    await dispatch(ArchiveProject(project="qwen"), origin_of())
    with pytest.raises(Refused) as refused:
        await dispatch(StartRun(project="qwen"), origin_of())
    assert refused.value.code == "project_archived"
    assert node.asked == []


async def test_the_conflict_of_the_memory_log_is_real() -> None:
    log = MemoryLog()
    await dispatch_on(log)(CREATE, origin_of())
    stale = Change(context="projects", aggregate_id=QWEN, facts=(ProjectRevised(description="x"),))
    with pytest.raises(Conflict):
        await log.append(stale, origin=origin_of())


class ReadLog(MemoryLog):
    """Notes how many facts each read gave."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []

    async def read(self, context: str, aggregate_id: UUID, after: int = 0) -> list[Recorded]:
        found = await super().read(context, aggregate_id, after)
        self.reads.append(len(found))
        return found


def take(number: int) -> TakeLease:
    return TakeLease(
        node="box",
        holder=UUID(int=number),
        kind="deployment",
        wish=Wish(),
        ports=(8000, 8001, 8002),
        gpus=(),
    )


async def test_leases_are_remembered_and_only_what_is_new_is_read() -> None:
    log = ReadLog()
    one, other = dispatch_on(log), dispatch_on(log)
    await one(take(1), origin_of())
    await other(take(2), origin_of())
    await one(take(3), origin_of())
    assert log.reads == [0, 1, 2]
    assert await one.state(LEASES, node_id("box")) == await other.state(LEASES, node_id("box"))
    assert sorted((await one.state(LEASES, node_id("box"))).ports) == [8000, 8001, 8002]
    with pytest.raises(Refused, match="no_free_port"):
        await other(take(4), origin_of())
    assert (await other(take(2), origin_of())).recorded == []


async def test_what_is_remembered_of_another_log_is_forgotten() -> None:
    log = MemoryLog()
    dispatch = dispatch_on(log)
    await dispatch(take(1), origin_of())
    await dispatch(take(2), origin_of())
    log.__init__()  # type: ignore[misc]  # as where a backup from before was restored
    assert sorted((await dispatch(take(3), origin_of())).state.ports) == [8000]
