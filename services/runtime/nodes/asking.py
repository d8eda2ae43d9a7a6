"""Asks all training nodes at once and takes the best answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.runs import AssetQuestion, AssetReport
from events.log import LogUnavailable

_decode = msgspec.json.Decoder(AssetReport).decode


class Nodes:
    """`timeout` bounds the wait for a first answer, `window` that for a better one after it (seconds)."""

    def __init__(self, nc: Client, *, timeout: float = 3.0, window: float = 0.2) -> None:
        self._nc = nc
        self._timeout = timeout
        self._window = window
        self._prefix = ""
        self._subscription: Subscription | None = None
        self._waiting: dict[str, asyncio.Queue[AssetReport | None]] = {}
        self._asked = 0

    async def start(self) -> None:
        self._prefix = self._nc.new_inbox() + "."
        self._subscription = await self._nc.subscribe(self._prefix + "*", cb=self._on_reply)

    async def stop(self) -> None:
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None

    async def assets(self, names: tuple[str, ...]) -> AssetReport | None:
        """The report of a node that has them all, else of the one that lacks least, none where no node answers.

        LogUnavailable: the question could not be asked.
        """
        return await self._ask(AssetQuestion(names=names), self._best)

    async def assets_of(self, node: str, names: tuple[str, ...], checkpoints: tuple[str, ...]) -> AssetReport | None:
        """The report of that node, none where it does not answer. Raises LogUnavailable as `assets`."""

        async def of_that_node(replies: asyncio.Queue[AssetReport | None]) -> AssetReport | None:
            try:
                async with asyncio.timeout(self._timeout):
                    while (report := await replies.get()) is not None and report.node != node:
                        pass
                    return report
            except TimeoutError:
                return None

        return await self._ask(AssetQuestion(names=names, checkpoints=checkpoints), of_that_node)

    async def _ask(
        self,
        question: AssetQuestion,
        choose: Callable[[asyncio.Queue[AssetReport | None]], Awaitable[AssetReport | None]],
    ) -> AssetReport | None:
        self._asked += 1
        reply = f"{self._prefix}{self._asked}"
        replies = self._waiting[reply] = asyncio.Queue()
        try:
            await self._nc.publish(subjects.NODE_ASSETS, msgspec.json.encode(question), reply=reply)
            return await choose(replies)
        except nats.errors.Error as error:
            raise LogUnavailable(str(error)) from error
        finally:
            del self._waiting[reply]

    async def _best(self, replies: asyncio.Queue[AssetReport | None]) -> AssetReport | None:
        best: AssetReport | None = None
        try:
            async with asyncio.timeout(self._timeout) as bound:
                while True:
                    report = await replies.get()
                    if report is None:  # nobody listens
                        return None
                    if not report.missing and not report.outside:
                        return report
                    if best is None:
                        bound.reschedule(asyncio.get_running_loop().time() + self._window)
                    if best is None or _lack(report) < _lack(best):
                        best = report
        except TimeoutError:
            return best

    async def _on_reply(self, message: Msg) -> None:
        replies = self._waiting.get(message.subject)
        if replies is None:
            return  # it came after the answer was chosen
        if (message.headers or {}).get("Status") == "503":
            replies.put_nowait(None)
        else:
            replies.put_nowait(_decode(message.data))


def _lack(report: AssetReport) -> tuple[int, int]:
    return len(report.outside), len(report.missing)
