"""What every log does. A log is tested by a subclass that gives the fixtures `log` and `plant`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from events.commands import CommandRefused
from events.event import Origin, Recorded
from events.log import Change, Conflict, EventLog, LogReplaced, UnreadableFact
from events.projects import ProjectArchived, ProjectCreated, ProjectUnarchived
from events.runs import RunRequested
from events.upcasting import UPCASTS

PERSON = UUID("5b1f4a44-5a0f-4f29-93ad-5a2f0b6e6a11")
ORIGIN = Origin(actor=str(PERSON), command_id=UUID("0f6f4b73-2f5b-4f6b-8f67-6c5a1a6f2c11"))
CREATED = ProjectCreated(
    name="微调", owner=PERSON, dataset_name="d.jsonl", training_yaml_name="c.yaml", tags=("a", "b")
)

Plant = Callable[[str, dict[str, str], bytes], Awaitable[None]]


def creation(project_id: UUID | None = None) -> Change:
    return Change(context="projects", aggregate_id=project_id or uuid4(), facts=(CREATED,))


def after(last: Recorded, *facts: Any) -> Change:
    meta = last.meta
    return Change(
        context=meta.context, aggregate_id=meta.aggregate_id, facts=facts, expected=meta.position, version=meta.version
    )


def unstored(recorded: list[Recorded]) -> list[tuple[Any, Any]]:
    """Without the moment of storing, which an append does not know."""
    return [(one.fact, {name: getattr(one.meta, name) for name in _META}) for one in recorded]


_META = ("id", "context", "aggregate_id", "version", "position", "time", "origin")


async def collect(log: EventLog, count: int, position: int = 0, contexts: tuple[str, ...] = ()) -> list[Recorded]:
    """The next facts above a position; fails after 20 s."""
    facts: list[Recorded] = []
    async with asyncio.timeout(60), aclosing(log.follow(position, contexts)) as batches:
        async for batch in batches:
            assert batch
            facts += batch
            if len(facts) >= count:
                break
    return facts


class LogSuite:
    async def test_reads_what_was_appended(self, log: EventLog) -> None:
        when = datetime(2024, 4, 12, 8, 45, 9, 192384, tzinfo=UTC)
        origin = Origin(
            actor="service:训练",
            command_id=uuid4(),
            correlation_id='a b%20"c"\r\nNats-Batch-Id: x 变',
            causation_id="é",
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        change = creation()
        appended = await log.append(change, origin=origin, time=when)
        read = await log.read("projects", change.aggregate_id)
        assert unstored(read) == unstored(appended)
        [one] = read
        assert one.fact == CREATED
        assert one.meta.origin == origin
        assert (one.meta.version, one.meta.position, one.meta.time) == (1, 1, when)
        assert appended[0].meta.stored_at is None
        assert one.meta.stored_at is not None
        assert one.meta.stored_at.tzinfo is not None

    async def test_an_aggregate_without_facts_is_empty(self, log: EventLog) -> None:
        assert await log.read("projects", uuid4()) == []
        assert await log.last_position() == 0

    async def test_nothing_to_append(self, log: EventLog) -> None:
        assert await log.append(origin=ORIGIN) == []
        assert await log.append(Change(context="projects", aggregate_id=uuid4(), facts=()), origin=ORIGIN) == []
        assert await log.last_position() == 0

    async def test_versions_and_positions_go_on(self, log: EventLog) -> None:
        [first] = await log.append(creation(), origin=ORIGIN)
        await log.append(creation(), origin=ORIGIN)
        [second] = await log.append(after(first, ProjectArchived()), origin=ORIGIN)
        assert (second.meta.version, second.meta.position) == (2, 3)
        positions = [
            [one.meta.position for one in await log.read("projects", first.meta.aggregate_id, known)]
            for known in (0, 1, 2, 3, 9)
        ]
        assert positions == [[1, 3], [3], [3], [], []]

    async def test_a_stale_append_conflicts_and_stores_nothing(self, log: EventLog) -> None:
        [first] = await log.append(creation(), origin=ORIGIN)
        with pytest.raises(Conflict):
            await log.append(creation(first.meta.aggregate_id), origin=ORIGIN)
        await log.append(after(first, ProjectArchived()), origin=ORIGIN)
        with pytest.raises(Conflict):
            await log.append(after(first, ProjectArchived()), origin=ORIGIN)
        assert await log.last_position() == 2

    async def test_an_append_ahead_of_the_log_conflicts(self, log: EventLog) -> None:
        ahead = Change(context="projects", aggregate_id=uuid4(), facts=(ProjectArchived(),), expected=7, version=3)
        with pytest.raises(Conflict):
            await log.append(ahead, origin=ORIGIN)
        assert await log.last_position() == 0

    async def test_several_facts_of_several_aggregates_at_once(self, log: EventLog) -> None:
        one, other = uuid4(), uuid4()
        recorded = await log.append(
            Change(context="projects", aggregate_id=one, facts=(CREATED, ProjectArchived())),
            Change(context="projects", aggregate_id=other, facts=(CREATED,)),
            origin=ORIGIN,
        )
        assert [(fact.meta.aggregate_id, fact.meta.version, fact.meta.position) for fact in recorded] == [
            (one, 1, 1),
            (one, 2, 2),
            (other, 1, 3),
        ]
        assert unstored(await log.read("projects", one)) == unstored(recorded[:2])
        assert unstored(await log.read("projects", other)) == unstored(recorded[2:])

    async def test_all_or_none(self, log: EventLog) -> None:
        [first] = await log.append(creation(), origin=ORIGIN)
        fresh = Change(context="projects", aggregate_id=uuid4(), facts=(CREATED, ProjectArchived()))
        stale = creation(first.meta.aggregate_id)
        for changes in ((fresh, stale), (stale, fresh)):
            with pytest.raises(Conflict):
                await log.append(*changes, origin=ORIGIN)
        assert await log.read("projects", fresh.aggregate_id) == []
        assert await log.last_position() == 1

    async def test_what_no_log_could_store_is_refused(self, log: EventLog) -> None:
        project = creation()
        with pytest.raises(ValueError, match="two changes of one aggregate"):
            await log.append(project, project, origin=ORIGIN)
        with pytest.raises(ValueError, match="ProjectCreated is a fact of projects, not of runs"):
            await log.append(Change(context="runs", aggregate_id=uuid4(), facts=(CREATED,)), origin=ORIGIN)
        with pytest.raises(ValueError, match="1001 facts in one append"):
            await log.append(
                Change(context="projects", aggregate_id=uuid4(), facts=(ProjectArchived(),) * 1001), origin=ORIGIN
            )
        assert await log.last_position() == 0

    async def test_a_thousand_facts_at_once(self, log: EventLog) -> None:
        change = Change(context="projects", aggregate_id=uuid4(), facts=(CREATED, *[ProjectArchived()] * 999))
        recorded = await log.append(change, origin=ORIGIN)
        assert [one.meta.position for one in recorded] == list(range(1, 1001))
        assert unstored(await log.read("projects", change.aggregate_id)) == unstored(recorded)

    async def test_of_32_writers_of_one_aggregate_one_wins_each_round(self, log: EventLog) -> None:
        [last] = await log.append(creation(), origin=ORIGIN)
        for round_number in range(5):
            fact = ProjectUnarchived() if round_number % 2 else ProjectArchived()
            results = await asyncio.gather(
                *(log.append(after(last, fact), origin=ORIGIN) for _ in range(32)), return_exceptions=True
            )
            winners = [result for result in results if not isinstance(result, BaseException)]
            assert len(winners) == 1
            assert all(isinstance(result, Conflict) for result in results if isinstance(result, BaseException))
            [[last]] = winners
        assert len(await log.read("projects", last.meta.aggregate_id)) == 6

    async def test_writers_that_read_again_all_get_through(self, log: EventLog) -> None:
        project = (await log.append(creation(), origin=ORIGIN))[0].meta.aggregate_id

        async def write() -> Recorded:
            while True:
                last = (await log.read("projects", project))[-1]
                try:
                    return (await log.append(after(last, ProjectArchived()), origin=ORIGIN))[0]
                except Conflict:
                    continue

        async with asyncio.timeout(60):
            written = await asyncio.gather(*(write() for _ in range(16)))
        read = await log.read("projects", project)
        assert [one.meta.version for one in read] == list(range(1, 18))
        assert {one.meta.id for one in written} == {one.meta.id for one in read[1:]}

    async def test_a_conflict_is_its_own_writers_only(self, log: EventLog) -> None:
        taken = [(await log.append(creation(), origin=ORIGIN))[0].meta.aggregate_id for _ in range(3)]
        changes = [creation(taken[n // 20] if n % 20 == 7 else None) for n in range(60)]
        results = await asyncio.gather(
            *(log.append(change, origin=ORIGIN) for change in changes), return_exceptions=True
        )
        for n, (change, result) in enumerate(zip(changes, results, strict=True)):
            if n % 20 == 7:
                assert isinstance(result, Conflict)
            else:
                assert not isinstance(result, BaseException)
                assert unstored(await log.read("projects", change.aggregate_id)) == unstored(result)
        assert await log.last_position() == 3 + 57

    async def test_who_stops_waiting_takes_nobody_along(self, log: EventLog) -> None:
        changes = [creation() for _ in range(40)]
        tasks = [asyncio.ensure_future(log.append(change, origin=ORIGIN)) for change in changes]
        for turns, task in enumerate(tasks[::3]):
            for _ in range(turns % 3):
                await asyncio.sleep(0)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, (change, result) in enumerate(zip(changes, results, strict=True)):
            stored = await log.read("projects", change.aggregate_id)
            if isinstance(result, asyncio.CancelledError):
                assert number % 3 == 0
                assert len(stored) <= 1
            else:
                assert not isinstance(result, BaseException)
                assert unstored(stored) == unstored(result)
        # and the log goes on, also with the aggregates of those who left
        for change in changes[::3]:
            if not await log.read("projects", change.aggregate_id):
                await log.append(change, origin=ORIGIN)

    async def test_follows_old_and_new_in_order(self, log: EventLog) -> None:
        old = [(await log.append(creation(), origin=ORIGIN))[0] for _ in range(3)]
        following = asyncio.create_task(collect(log, 5, position=1))
        new = [(await log.append(creation(), origin=ORIGIN))[0] for _ in range(3)]
        assert unstored((await following)[:5]) == unstored((old + new)[1:])[:5]

    async def test_follows_the_contexts_asked_for(self, log: EventLog) -> None:
        run = RunRequested(project_id=uuid4(), node="n", dataset="d", training_yaml="y", argv=("true",))
        await log.append(creation(), origin=ORIGIN)
        [requested] = await log.append(Change(context="runs", aggregate_id=uuid4(), facts=(run,)), origin=ORIGIN)
        refused = CommandRefused(command="StartRun", code="run_ended")
        await log.append(Change(context="commands", aggregate_id=uuid4(), facts=(refused,)), origin=ORIGIN)
        [last] = await log.append(creation(), origin=ORIGIN)
        assert unstored(await collect(log, 1, contexts=("runs",))) == unstored([requested])
        positions = [one.meta.position for one in await collect(log, 3, contexts=("runs", "projects"))]
        assert positions == [1, 2, last.meta.position]

    async def test_a_slow_reader_loses_nothing(self, log: EventLog) -> None:
        total = 5_000

        async def write() -> None:
            for _ in range(total // 500):
                facts = (ProjectArchived(),) * 500
                await log.append(Change(context="projects", aggregate_id=uuid4(), facts=facts), origin=ORIGIN)

        writing = asyncio.create_task(write())
        positions: list[int] = []
        async with asyncio.timeout(60), aclosing(log.follow(0)) as batches:
            async for batch in batches:
                positions += [one.meta.position for one in batch]
                if len(positions) == total:
                    break
                await asyncio.sleep(0.02)  # the slowness under test
        await writing
        assert positions == list(range(1, total + 1))

    async def test_a_follower_ahead_of_the_log_is_told(self, log: EventLog) -> None:
        await log.append(creation(), origin=ORIGIN)
        with pytest.raises(LogReplaced):
            await collect(log, 1, position=2)

    async def test_positions_and_moments(self, log: EventLog) -> None:
        for _ in range(3):
            await log.append(creation(), origin=ORIGIN)
        moments = [await log.stored_at(position) for position in (1, 2, 3)]
        assert await log.stored_at(0) is None
        assert await log.stored_at(4) is None
        for position, moment in enumerate(moments, 1):
            assert moment is not None
            assert await log.position_at(moment) >= position
            assert await log.position_at(moment - timedelta(microseconds=1)) < position
        assert moments[2] is not None
        assert await log.position_at(moments[2]) == 3
        assert await log.position_at(datetime(1999, 1, 1, tzinfo=UTC)) == 0
        assert await log.position_at(datetime(1, 1, 1, tzinfo=UTC)) == 0
        assert await log.position_at(datetime.max.replace(tzinfo=UTC)) == 3

    async def test_moments_are_the_same_however_read(self, log: EventLog) -> None:
        [one] = await log.append(creation(), origin=ORIGIN)
        [read] = await log.read("projects", one.meta.aggregate_id)
        [followed] = await collect(log, 1)
        assert read == followed
        assert read.meta.stored_at == await log.stored_at(1)

    async def test_a_fact_of_unknown_type_is_named(self, log: EventLog, plant: Plant) -> None:
        await log.append(creation(), origin=ORIGIN)
        project = uuid4()
        await plant(f"events.projects.{project}", _headers("ProjectPainted"), b"{}")
        with pytest.raises(UnreadableFact, match="ProjectPainted at position 2") as caught:
            await log.read("projects", project)
        assert (caught.value.type_name, caught.value.position) == ("ProjectPainted", 2)
        with pytest.raises(UnreadableFact, match="ProjectPainted at position 2"):
            await collect(log, 2)

    async def test_a_broken_or_newer_fact_is_named(self, log: EventLog, plant: Plant) -> None:
        project = uuid4()
        await plant(f"events.projects.{project}", _headers("ProjectCreated"), b'{"name": 1}')
        with pytest.raises(UnreadableFact, match="ProjectCreated at position 1"):
            await log.read("projects", project)
        newer = uuid4()
        await plant(f"events.projects.{newer}", _headers("ProjectArchived") | {"ce-revision": "2"}, b"{}")
        with pytest.raises(UnreadableFact, match="it has revision 2, this release knows up to 1"):
            await log.read("projects", newer)

    async def test_old_bytes_are_upcast(self, log: EventLog, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
        """Revision 1 had one tag, revision 2 a string of tags, today there is a list."""
        monkeypatch.setattr(ProjectCreated, "revision", 3)
        monkeypatch.setitem(
            UPCASTS,
            ("ProjectCreated", 1),
            lambda body: {name: value for name, value in body.items() if name != "tag"} | {"labels": body["tag"]},
        )
        monkeypatch.setitem(
            UPCASTS,
            ("ProjectCreated", 2),
            lambda body: (
                {name: value for name, value in body.items() if name != "labels"} | {"tags": body["labels"].split()}
            ),
        )
        old = b'{"name":"n","owner":"%s","dataset_name":"d","training_yaml_name":"y",' % str(PERSON).encode()
        first, second, missing = uuid4(), uuid4(), uuid4()
        await plant(f"events.projects.{first}", _headers("ProjectCreated"), old + b'"tag":"x"}')
        await plant(
            f"events.projects.{second}", _headers("ProjectCreated") | {"ce-revision": "2"}, old + b'"labels":"x y"}'
        )
        [one], [other] = await log.read("projects", first), await log.read("projects", second)
        today = ProjectCreated(name="n", owner=PERSON, dataset_name="d", training_yaml_name="y", tags=("x",))
        assert one.fact == today
        assert isinstance(other.fact, ProjectCreated)
        assert other.fact.tags == ("x", "y")
        monkeypatch.delitem(UPCASTS, ("ProjectCreated", 2))
        await plant(f"events.projects.{missing}", _headers("ProjectCreated"), old + b'"tag":"x"}')
        with pytest.raises(UnreadableFact, match="there is no upcast"):
            await log.read("projects", missing)


def _headers(type_name: str) -> dict[str, str]:
    return {
        "ce-specversion": "1.0",
        "ce-id": str(uuid4()),
        "ce-type": type_name,
        "ce-source": "/trainledger/projects",
        "ce-time": "2024-04-12T08:45:09.192384Z",
        "ce-aggregateversion": "1",
        "ce-actor": str(PERSON),
        "ce-commandid": str(uuid4()),
    }
