"""Asking the read models: SQL in a few threads, and how far the projector has come."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from itertools import count
from typing import TypeVar
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from contracts import subjects
from contracts.problems import Refused
from contracts.projects import ProjectDetail
from contracts.runs import RunDetail
from projections.database import Database
from projections.queries.cut import NOW, Cut
from projections.queries.projects import NameOf, ProjectPage, project_detail, project_list
from projections.queries.runs import LATEST_LOGS, RunPage, run_detail, run_list
from services.runtime.questions import Question, Questions, Shown

# Messages may be lost while the connection is: whoever waits has the position looked up in SQL this often (seconds).
_LOOK = 0.25
_MOMENT = 2.0  # seconds for tables that are being rebuilt
_LAST_LOOK = 1.0  # of whoever has waited in vain, in seconds

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Reads:
    """Every question sees one state of the tables.

    `name_of` gives a person's name; `threads` bounds how many transactions there are at once; `log_lines` how many of a
    run's output lines its detail shows. Every question raises Refused: `position_not_reached` while the tables are
    rebuilt, `database_unavailable`, also after `patience` seconds: behind a broken network a database neither answers
    nor refuses to.
    """

    def __init__(
        self,
        database: Database,
        nc: Client,
        name_of: NameOf,
        *,
        threads: int = 4,
        log_lines: int = LATEST_LOGS,
        patience: float = 30.0,
    ) -> None:
        self._questions = Questions(database, threads)
        self._nc = nc
        self._name_of = name_of
        self._log_lines = log_lines
        self._patience = patience
        self._subscription: Subscription | None = None
        self._position = 0
        self._heard = 0
        self._waiting: list[tuple[int, int, asyncio.Future[bool]]] = []
        self._numbers = count()
        self._looking: asyncio.Task[None] | None = None
        self._answered = False  # ever
        self._away = False

    async def start(self) -> None:
        """A database that is away, or whose tables the projector has yet to make, is no hindrance."""
        self._subscription = await self._nc.subscribe(subjects.PROJECTED, cb=self._on_projected)
        with contextlib.suppress(Refused):
            await self._look()

    async def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None
        await self._questions.close()

    @property
    def position(self) -> int:
        """How far the read models are, as far as is known without asking."""
        return self._position

    async def passed(self, position: int, timeout: float) -> bool:
        """Whether questions asked from now on see the fact at `position`, waited for at most `timeout` seconds.

        False also where the database is away.
        """
        if self._position >= position:
            return True
        loop = asyncio.get_running_loop()
        reached: asyncio.Future[bool] = loop.create_future()
        heapq.heappush(self._waiting, (position, next(self._numbers), reached))
        timer = loop.call_later(timeout, _give_up, reached)
        if self._looking is None:
            self._looking = loop.create_task(self._keep_looking(), name="projected position")
        try:
            if await reached:
                return True
        finally:
            timer.cancel()
        with contextlib.suppress(Refused, TimeoutError):  # it has been logged, and is no answer either way
            async with asyncio.timeout(_LAST_LOOK):
                await self._look()
        return self._position >= position

    async def project_detail(
        self, project_id: UUID, cut: Cut = NOW, *, named: bool = True
    ) -> Shown[ProjectDetail | None]:
        """A project, none where it does not exist at the cut; so with a run. Not `named`: its owner is an id."""
        name_of = self._name_of if named else _nobody
        return await self.ask(lambda connection: project_detail(connection, project_id, name_of, cut))

    async def project_list(self, cut: Cut = NOW, *, after: int = 0, limit: int | None = None) -> Shown[ProjectPage]:
        return await self.ask(lambda connection: project_list(connection, self._name_of, cut, after=after, limit=limit))

    async def run_detail(self, run_id: UUID, cut: Cut = NOW) -> Shown[RunDetail | None]:
        return await self.ask(lambda connection: run_detail(connection, run_id, cut, latest_logs=self._log_lines))

    async def run_list(
        self, project_id: UUID, cut: Cut = NOW, *, after: int = 0, limit: int | None = None
    ) -> Shown[RunPage | None]:
        """The runs of a project, none where there is no such project at the cut."""
        return await self.ask(lambda connection: run_list(connection, project_id, cut, after=after, limit=limit))

    async def ask(self, question: Question[T]) -> Shown[T]:
        """Asks anything."""
        return await self._ask(question)

    async def projected(self) -> int:
        """How far the read models are, also while they are being rebuilt."""
        return (await self._ask(lambda _: None, whole=False)).position

    async def _ask(self, question: Question[T], *, whole: bool = True) -> Shown[T]:
        try:
            async with asyncio.timeout(self._patience):
                shown = await self._whole(question) if whole else await self._questions.ask(question, whole=False)
        except TimeoutError as error:
            self._no_answer(f"nothing within {self._patience:.0f} s")
            raise Refused("database_unavailable") from error
        except (DBAPIError, PoolTimeoutError) as error:
            self._no_answer(error)
            raise Refused("database_unavailable") from error
        self._answered, self._away = True, False
        return shown

    async def _whole(self, question: Question[T]) -> Shown[T]:
        """Waits a moment for tables that are being rebuilt: those of a new ledger are within that."""
        try:
            return await self._questions.ask(question)
        except Refused as refused:
            if refused.code != "position_not_reached" or not await self.passed(refused.values["position"], _MOMENT):
                raise
        return await self._questions.ask(question)

    def _no_answer(self, reason: object) -> None:
        # Once in each outage; before the first answer the tables may only have to be made yet. What stands below the
        # first line of a driver's reason is SQL.
        short = str(getattr(reason, "orig", None) or reason).partition("\n")[0]
        if self._answered:
            level, what = logging.ERROR, "the database of the read models does not answer"
        else:
            level, what = logging.INFO, "the read models are not there yet"
        _log.log(logging.DEBUG if self._away else level, "%s (%s)", what, short)
        self._away = True

    async def _on_projected(self, message: Msg) -> None:
        self._heard += 1
        self._move(int(message.data))

    def _move(self, position: int) -> None:
        """Also back: a rebuild begins at 0."""
        self._position = position
        while self._waiting and (self._waiting[0][0] <= position or self._waiting[0][2].done()):
            reached = heapq.heappop(self._waiting)[2]
            if not reached.done():
                reached.set_result(True)

    async def _look(self) -> None:
        """Takes the position from the tables, unless it was heard of in the meantime."""
        heard = self._heard
        position = await self.projected()
        if heard == self._heard or position > self._position:
            self._move(position)

    async def _keep_looking(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(_LOOK)
                heard = self._heard
                if self._waiting and heard == self._heard:
                    with contextlib.suppress(Refused):
                        await self._look()
        finally:
            self._looking = None


def _nobody(_: UUID) -> None:
    return None


def _give_up(reached: asyncio.Future[bool]) -> None:
    if not reached.done():
        reached.set_result(False)
