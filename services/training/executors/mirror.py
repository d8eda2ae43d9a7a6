"""Copies what grows in a container to this host, through one exec that goes on until the end."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from services.training.executors.engine import NotThere, errors, refusal

if TYPE_CHECKING:
    from aiodocker.containers import DockerContainer

_log = logging.getLogger("trainledger.training")
_SILENCE = 15.0  # seconds; frames come every two
_AGAIN = 1.0
_FIRST = 10.0
_OVER = ("ended", "gone", "none")
_FRAME = re.compile(rb"[a-z]+(?: \d{1,9})*")


class _NoFrame(Exception):
    """The engine itself spoke where the wrapper should: it says so of a container that is just being stopped."""


class Mirror:
    """`files` are those of the container and their copies here; a copy's length is the position of what came over.

    Reading again from there after any end, of this process too, neither loses nor repeats a byte.
    """

    def __init__(self, directory: str, workdir: str, files: Mapping[str, Path]) -> None:
        self._directory = directory
        self._workdir = workdir
        self._files = dict(files)
        self._word = "starting"
        self._told = asyncio.Event()
        self._gone: NotThere | None = None
        self._task: asyncio.Task[None] | None = None

    async def state(self, container: DockerContainer) -> str:
        """The wrapper's word for it; `ended` only once everything is here. Raises NotThere."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_following(container), name=f"mirror of {self._directory}")
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST):
                    await self._told.wait()
        if self._gone is not None:
            raise self._gone
        if self._task.done():
            self._task.result()
        return self._word

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep_following(self, container: DockerContainer) -> None:
        while self._word not in _OVER:
            begun = time.monotonic()
            try:
                await self._follow(container)
            except _NoFrame as error:
                _log.warning("%s cannot be followed: %s", self._directory, error)
            except errors() as error:
                meaning = await refusal(container, error)
                if isinstance(meaning, NotThere):
                    self._gone = meaning
                    self._told.set()
                    return
                _log.warning("%s cannot be followed: %s", self._directory, meaning)
            await asyncio.sleep(max(0.0, begun + _AGAIN - time.monotonic()))

    async def _follow(self, container: DockerContainer) -> None:
        """Until the stream of frames ends, which it does at the end of the run or with the engine."""
        copies = list(self._files.values())
        command = ["bash", f"{self._directory}/wrapper.sh", "follow", self._directory, self._workdir]
        for name, copy in self._files.items():
            command += [name, str(await asyncio.to_thread(_length, copy))]
        execution = await container.exec(command)
        buffer = bytearray()
        left = [0] * len(copies)  # bytes of the frame that is being read
        word = self._word
        async with execution.start(detach=False) as stream:
            while True:
                async with asyncio.timeout(_SILENCE):
                    message = await stream.read_out()
                if message is None:
                    break
                if message.stream != 1:
                    continue
                buffer += message.data
                while buffer:
                    index = next((number for number, count in enumerate(left) if count), None)
                    if index is not None:
                        some = bytes(buffer[: left[index]])
                        del buffer[: len(some)]
                        left[index] -= len(some)
                        await asyncio.to_thread(_append, copies[index], some)
                    elif (end := buffer.find(b"\n")) >= 0:
                        word, counts = _frame(bytes(buffer[:end]), len(copies))
                        del buffer[: end + 1]
                        left = counts
                        if word not in _OVER:
                            self._tell(word)
                    else:
                        break
        code = (await execution.inspect())["ExitCode"]
        if code == 127:  # no wrapper there: the exec that would have brought it never came to pass
            self._tell("none")
        elif word in _OVER and code == 0 and not any(left) and not buffer:
            self._tell(word)

    def _tell(self, word: str) -> None:
        self._word = word
        self._told.set()


def _frame(line: bytes, files: int) -> tuple[str, list[int]]:
    """The word of a frame and how many bytes of each file follow. Raises _NoFrame."""
    if _FRAME.fullmatch(line) is None or line.count(b" ") != files:
        raise _NoFrame(line.decode(errors="replace"))
    word, *counts = line.decode().split()
    return word, [int(count) for count in counts]


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
