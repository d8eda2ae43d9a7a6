"""The engine of de-identification, asked in processes of its own: started when needed, ended when idle."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from contracts.problems import Refused
from services import python_path
from services.runtime import piped
from services.runtime.deidentifying.asks import LAST, LENGTH, Answer, Ask, Broken, decode_answer, framed

_IDLE = 120.0  # seconds after which a process that nobody asks goes

_log = logging.getLogger(__name__)


class EngineFailed(Exception):
    """The engine's process failed or went away. The text holds nothing of what it was asked."""


class Deidentifying:
    """At most `processes` work at a time, each on one question; further ones wait.

    `patience` bounds one answer (seconds): a process that says nothing for so long is killed.
    """

    def __init__(self, processes: int = 1, *, patience: float = 30.0, idle: float = _IDLE) -> None:
        self._free = asyncio.Semaphore(processes)
        self._patience = patience
        self._idle = idle
        self.working: set[asyncio.subprocess.Process] = set()
        self.waiting: list[asyncio.subprocess.Process] = []  # those that are at no work
        self._going: asyncio.TimerHandle | None = None

    async def stop(self) -> None:
        if self._going is not None:
            self._going.cancel()
        while self.waiting:
            await piped.end(self.waiting.pop())

    async def ask(self, ask: Ask) -> Answer:
        """The last answer to it. Raises Refused (deid_unavailable); what went wrong is logged."""
        try:
            last: Answer | None = None
            async with aclosing(self.answers(ask)) as answers:
                async for answer in answers:
                    last = answer
        except EngineFailed as error:
            _log.error("the engine of de-identification failed: %s", error)  # it says all there is
            raise Refused("deid_unavailable") from None
        assert last is not None
        return last

    async def answers(self, ask: Ask) -> AsyncGenerator[Answer, None]:
        """Every answer, the last of which ends it. Left early, or cancelled: its process is killed. EngineFailed."""
        async with self._free:
            if self._going is not None:
                self._going.cancel()
            process = await self._taken()
            self.working.add(process)
            whole = False
            try:
                assert process.stdin is not None
                frame = framed(ask)
                with suppress(ConnectionError, RuntimeError):  # it has died, which its missing answer tells
                    process.stdin.write(frame)  # where uvloop knows that already, it is a RuntimeError
                    await process.stdin.drain()
                while not whole:
                    answer, whole = await self._answer(process)
                    if isinstance(answer, Broken):
                        raise EngineFailed(answer.what)
                    yield answer
            finally:
                self.working.discard(process)
                if whole:
                    self.waiting.append(process)
                    self._going = asyncio.get_running_loop().call_later(self._idle, self._let_go)
                else:
                    await piped.end(process)

    async def _taken(self) -> asyncio.subprocess.Process:
        """One of those that wait and live, or a new one."""
        while self.waiting:
            process = self.waiting.pop()
            if process.returncode is None:
                return process
            await piped.end(process)
        return await _start()

    async def _answer(self, process: asyncio.subprocess.Process) -> tuple[Answer, bool]:
        """An answer, and whether it is the last one."""
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._patience):
                head = await process.stdout.readexactly(1 + LENGTH)
                body = await process.stdout.readexactly(int.from_bytes(head[1:], "big"))
        except asyncio.IncompleteReadError:
            raise EngineFailed(f"its process ended, code {await process.wait()}") from None
        except TimeoutError:
            raise EngineFailed(f"it said nothing for {self._patience:.0f} s") from None
        return decode_answer(body), head[:1] == LAST

    def _let_go(self) -> None:
        """Its end of the pipe closed, a process ends by itself."""
        self._going = None
        while self.waiting:
            process = self.waiting.pop()
            assert process.stdin is not None
            process.stdin.close()


async def _start() -> asyncio.subprocess.Process:
    environment = dict(os.environ)
    options = ["-X", "utf8"]
    if sys.flags.isolated:
        options.append("-I")
    else:
        environment["PYTHONPATH"] = python_path()
    command = (sys.executable, *options, "-m", "services.runtime.deidentifying.worker")
    return await piped.start(*command, env=environment)
