"""Questions to the read models, asked in threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from contracts.problems import Refused
from projections.database import Database
from projections.positions import Projected, projected

T = TypeVar("T")
Question = Callable[[Connection], T]

# At which those who wait together in one transaction stop, so that none is old.
_MOST_TOGETHER = 16
# Seconds without any answer after which another thread is employed. More threads than needed are slower: each call of
# the database's driver hands Python's lock to another one.
_LONG = 0.005


class Shown(msgspec.Struct, Generic[T], frozen=True):
    """An answer, and the position of the last fact that it shows."""

    answer: T
    position: int


class _Asked(msgspec.Struct, frozen=True):
    number: int
    question: Question[Any]
    whole: bool
    answered: asyncio.Future[Shown[Any]]


class Questions:
    """Those that wait at the same time share a transaction, in which each sees the same state of the tables.

    No question is answered in a transaction that began before it was asked. At most `threads` are at work, and more
    than one only where answers take long.
    """

    def __init__(self, database: Database, threads: int) -> None:
        self._database = database
        self._most = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reads")
        self._numbers = count(1)
        self._last = 0
        self._asked: deque[_Asked] = deque()
        self._done: deque[tuple[_Asked, Shown[Any] | Exception]] = deque()
        self._working = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, question: Question[T], *, whole: bool = True) -> Shown[T]:
        """Raises what the question does, and what SQLAlchemy does.

        `whole`: of tables that are not being rebuilt, else Refused (position_not_reached).
        """
        answered: asyncio.Future[Shown[T]] = asyncio.get_running_loop().create_future()
        self._last = next(self._numbers)
        self._asked.append(_Asked(self._last, question, whole, answered))
        self._employ()
        return await answered

    async def close(self) -> None:
        """Waits for the questions that are being answered."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._timer is not None:
            self._timer.cancel()

    def _employ(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._asked or self._working == self._most or (self._working and loop.time() < self._due):
            return
        self._working += 1
        self._due = loop.time() + _LONG
        self._threads.submit(self._work, loop)
        if self._timer is None:
            self._timer = loop.call_later(_LONG, self._look)

    def _look(self) -> None:
        self._timer = None
        self._tell()
        self._employ()
        if self._working:
            self._timer = asyncio.get_running_loop().call_later(_LONG, self._look)

    def _tell(self) -> None:
        while self._done:
            asked, answer = self._done.popleft()
            self._due = asyncio.get_running_loop().time() + _LONG
            if asked.answered.done():
                continue
            if isinstance(answer, Exception):
                asked.answered.set_exception(answer)
            else:
                asked.answered.set_result(answer)

    def _rest(self) -> None:
        self._working -= 1
        self._tell()
        self._employ()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread, until nothing is left to answer."""
        try:
            while self._asked:
                self._answer_some()
                loop.call_soon_threadsafe(self._tell)
        finally:
            loop.call_soon_threadsafe(self._rest)

    def _answer_some(self) -> None:
        last = self._last  # before the transaction begins
        take = partial(self._take, last)
        try:
            with self._database.reading() as connection:
                shown = projected(connection)
                for _ in range(_MOST_TOGETHER):
                    if (asked := take()) is None:
                        break
                    if not self._answer(asked, connection, shown):
                        break
        except Exception as error:  # noqa: BLE001 - of the transaction: whoever waited for it learns of it
            while (asked := take()) is not None:
                self._done.append((asked, error))

    def _answer(self, asked: _Asked, connection: Connection, shown: Projected) -> bool:
        """Whether the transaction is good for another one."""
        if asked.whole and shown.is_rebuilding:
            self._done.append((asked, Refused("position_not_reached", position=shown.rebuilt_to)))
            return True
        try:
            self._done.append((asked, Shown(asked.question(connection), shown.position)))
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            self._done.append((asked, error))
            return not isinstance(error, DBAPIError)
        return True

    def _take(self, last: int) -> _Asked | None:
        """The next of those up to number `last` that somebody still waits for."""
        while True:
            try:
                asked = self._asked.popleft()
            except IndexError:
                return None
            if asked.number > last:
                self._asked.appendleft(asked)
                return None
            if not asked.answered.cancelled():
                return asked
