"""Group commit against a server that answers as told: what a real one does too rarely to be tested with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from events.log import Conflict, LogUnavailable, Undecided
from events.log.connection import Publication
from events.log.group_commit import GroupCommit
from events.log.messages import Outgoing, Stored, Write
from events.log.wire import Wire

WRONG_LAST_SEQUENCE = {"error": {"code": 400, "err_code": 10071, "description": "wrong last sequence"}}
NO_ANSWER = None


class ScriptedWire(Wire):
    """Answers publishes from a list, then with `always`; reads back from a list, then finds nothing."""

    def __init__(self, answers: list[Any], found: list[Stored | None] | None = None, always: Any = NO_ANSWER) -> None:
        self.nc = SimpleNamespace(is_connected=True, is_closed=False)  # type: ignore[assignment]
        self._answers = answers
        self._always = always
        self._found = found or []
        self.published: list[list[str]] = [[]]
        self.sent = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()

    async def open(self) -> None:
        return

    async def ask_all(self, batches: Sequence[Sequence[Publication]]) -> list[bytes | None]:
        for batch in batches:
            self.published[-1] += [message.subject for message in batch]
            self.published.append([])
        self.sent.set()
        await self.answering.wait()
        return [self._answer() for _ in batches]

    def _answer(self) -> bytes | None:
        said = self._answers.pop(0) if self._answers else self._always
        return None if said is NO_ANSWER else msgspec.json.encode(said)

    async def next_of_subject(self, stream: str, subject: str, position: int) -> Stored | None:
        return self._found.pop(0) if self._found else None


def write(subject: str = "a", expected: int = 0) -> Write:
    return Write(subject, expected, (Outgoing(subject, f"id of {subject}", {"ce-id": f"id of {subject}"}, b""),))


def stored(write: Write, position: int, event_id: str | None = None) -> Stored:
    return Stored(position, write.subject, {"ce-id": event_id or write.messages[0].id}, b"", datetime.now(UTC))


def commits(wire: Wire, patience: float = 0.3) -> GroupCommit:
    return GroupCommit(wire, "S", patience)


async def test_refused_though_an_earlier_copy_of_it_is_not_visible_yet() -> None:
    """A cluster refuses the second copy while the first is still being agreed on: that is no conflict."""
    wire = ScriptedWire(
        [NO_ANSWER, WRONG_LAST_SEQUENCE], found=[None, None, stored(write(), 5)], always=WRONG_LAST_SEQUENCE
    )
    assert await commits(wire).append((write(),)) == 5


async def test_refused_at_the_first_try_is_a_conflict_whatever_is_there() -> None:
    with pytest.raises(Conflict):
        await commits(ScriptedWire([WRONG_LAST_SEQUENCE])).append((write(expected=9),))


async def test_refused_for_another_reason_says_which() -> None:
    refusal = {"error": {"code": 400, "err_code": 10054, "description": "message size exceeds maximum allowed"}}
    with pytest.raises(LogUnavailable, match="message size exceeds maximum"):
        await commits(ScriptedWire([refusal])).append((write(),))


async def test_an_overloaded_server_is_asked_again() -> None:
    busy = {"error": {"code": 503, "err_code": 10023, "description": "insufficient resources"}}
    wire = ScriptedWire([busy, busy, {"stream": "S", "seq": 3}])
    assert await commits(wire, patience=5).append((write(),)) == 3


async def test_an_answer_that_says_duplicate_is_no_append() -> None:
    wire = ScriptedWire([{"stream": "S", "seq": 3, "duplicate": True}], found=[stored(write(), 4, "somebody else's")])
    with pytest.raises(Conflict):
        await commits(wire).append((write(),))


async def test_never_answered() -> None:
    with pytest.raises(Undecided):
        await commits(ScriptedWire([])).append((write(),))


async def test_what_waited_behind_a_silent_server_ends_with_it_and_was_never_sent() -> None:
    wire = ScriptedWire([])
    wire.answering.clear()
    group = commits(wire, patience=0.1)
    first = asyncio.ensure_future(group.append((write("first"),)))
    await asyncio.wait_for(wire.sent.wait(), 60)
    behind = [asyncio.ensure_future(group.append((write(subject),))) for subject in ("first", "other")]
    await asyncio.sleep(0.2)  # their patience, and more
    wire.answering.set()
    results = await asyncio.wait_for(asyncio.gather(first, *behind, return_exceptions=True), 60)
    assert [type(result) for result in results] == [Undecided, LogUnavailable, LogUnavailable]
    assert [subject for batch in wire.published for subject in batch] == ["first"]


async def test_one_waiting_alone_goes_at_once_and_what_waits_behind_it_together() -> None:
    wire = ScriptedWire([{"seq": 1}, {"seq": 21}])
    wire.answering.clear()
    group = commits(wire)
    first = asyncio.ensure_future(group.append((write("first"),)))
    await asyncio.wait_for(wire.sent.wait(), 60)
    others = [asyncio.ensure_future(group.append((write(f"s{number}"),))) for number in range(20)]
    await asyncio.sleep(0)
    gone = others.pop(7)
    gone.cancel()
    wire.answering.set()
    assert await first == 1
    assert await asyncio.gather(*others) == list(range(3, 22))
    # who left before it was sent is not sent
    assert wire.published == [["first"], [f"s{number}" for number in range(20) if number != 7], []]


async def test_two_writes_of_one_subject_never_travel_together() -> None:
    wire = ScriptedWire([{"seq": 7}, {"seq": 8}])
    group = commits(wire)
    results = await asyncio.gather(
        group.append((write("a", 3),)),
        group.append((write("a", 3),)),
        group.append((write("a", 7),)),
        return_exceptions=True,
    )
    # the second lost to the first without being sent; the third was waiting for just that
    assert [type(result) for result in results] == [int, Conflict, int]
    assert wire.published == [["a"], ["a"], []]
