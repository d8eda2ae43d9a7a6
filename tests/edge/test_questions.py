"""Questions that share threads and transactions, each as if it were alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from projections.database import Database, open_database
from projections.ownership import prepare
from projections.positions import advance
from projections.tables import FACTS
from services.runtime.questions import Questions

BOUND = 30.0


class Counted:
    """A database that counts its transactions for reading."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.transactions = 0

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self.transactions += 1
        with self.database.reading() as connection:
            yield connection


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Counted]:
    opened = open_database(f"sqlite:///{tmp_path}/asked.db")
    prepare(opened, "a ledger")
    yield Counted(opened)
    opened.close()


@pytest.fixture
async def questions(database: Counted) -> AsyncIterator[Questions]:
    asking = Questions(database, threads=2)  # type: ignore[arg-type]
    yield asking
    await asyncio.wait_for(asking.close(), BOUND)


def move(database: Counted, old: int, new: int) -> None:
    with database.database.writing() as connection:
        advance(connection, FACTS, old, new)


class Held:
    """A question that takes until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _: Connection) -> str:
        self.begun.set()
        assert self.go_on.wait(BOUND)
        return "held"


async def test_those_that_wait_share_a_transaction(database: Counted, questions: Questions) -> None:
    def number(n: int) -> Callable[[Connection], int | None]:
        return lambda connection: connection.scalar(text(f"select {n}"))

    asked = [questions.ask(number(n)) for n in range(40)]
    shown = await asyncio.wait_for(asyncio.gather(*asked), BOUND)
    assert [one.answer for one in shown] == list(range(40))
    assert database.transactions < 10


async def test_a_slow_one_holds_up_neither_those_before_it_nor_those_behind(questions: Questions) -> None:
    slow = Held()
    before, held, behind = [
        asyncio.ensure_future(questions.ask(question)) for question in (lambda _: "before", slow, lambda _: "behind")
    ]
    try:
        assert (await asyncio.wait_for(before, BOUND)).answer == "before"
        assert (await asyncio.wait_for(behind, BOUND)).answer == "behind"
        assert not held.done()
    finally:
        slow.go_on.set()
    assert (await asyncio.wait_for(held, BOUND)).answer == "held"


async def test_none_is_answered_of_a_state_older_than_itself(database: Counted, questions: Questions) -> None:
    slow = Held()
    held = asyncio.ensure_future(questions.ask(slow))
    try:
        assert await asyncio.to_thread(slow.begun.wait, BOUND)
        await asyncio.to_thread(move, database, 0, 7)
        # Two: the thread that is held takes whatever it may before it looks at the clock.
        later = [asyncio.ensure_future(questions.ask(lambda _: None)) for _ in range(2)]
        slow.go_on.set()
        assert [(await asyncio.wait_for(one, BOUND)).position for one in later] == [7, 7]
    finally:
        slow.go_on.set()
    assert (await held).position == 0


async def test_an_error_is_that_of_one_only(questions: Questions) -> None:
    def wrong(_: Connection) -> None:
        raise LookupError("nothing there")

    def broken(connection: Connection) -> None:
        connection.execute(text("select * from nowhere"))

    asked = [questions.ask(question) for question in (lambda _: 1, wrong, lambda _: 2, broken, lambda _: 3)]
    one, none, two, failed, three = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), BOUND)
    assert [shown.answer for shown in (one, two, three)] == [1, 2, 3]  # type: ignore[union-attr]
    assert isinstance(none, LookupError)
    assert isinstance(failed, OperationalError)


async def test_without_a_database_everybody_learns_so(database: Counted, questions: Questions) -> None:
    with database.database.writing() as connection:
        connection.execute(text("drop table projection_state"))
    asked = [questions.ask(lambda _: None) for _ in range(20)]
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), BOUND)
    assert {type(answer) for answer in answers} == {OperationalError}


async def test_what_nobody_waits_for_any_more_is_not_asked(questions: Questions) -> None:
    slow, asked = Held(), list[str]()
    held = [asyncio.ensure_future(questions.ask(slow)) for _ in range(2)]  # both threads
    try:
        assert await asyncio.to_thread(slow.begun.wait, BOUND)
        left = asyncio.ensure_future(questions.ask(lambda _: asked.append("left")))
        await asyncio.sleep(0)
        left.cancel()
        stays = asyncio.ensure_future(questions.ask(lambda _: asked.append("stays")))
    finally:
        slow.go_on.set()
    await asyncio.wait_for(asyncio.gather(*held, stays), BOUND)
    assert asked == ["stays"]
