"""Processes that are spoken to over their pipes: nothing of them is left, however often whoever asks is cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any


async def start(*command: str, env: Mapping[str, str], stderr: int | None = None) -> Process:
    """In a session of its own, so that the terminal's signals are for the parent to act on."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=stderr, env=env, start_new_session=True
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await _whatever_comes(_end_once_started(starting))
        raise


async def end(process: Process) -> None:
    """Kills its whole group: it may have processes of its own at work. Returns once it is gone."""
    await _whatever_comes(_end(process))


async def _end_once_started(starting: asyncio.Task[Process]) -> None:
    with suppress(OSError):  # there is nothing to end
        await _end(await starting)


async def _end(process: Process) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    await process.stdout.read()  # to its end: only then is what the loop has of the process closed
    process.stdin.close()


async def _whatever_comes(work: Coroutine[Any, Any, None]) -> None:
    """Done to its end, which is near, also where this task is cancelled meanwhile: it is cancelled only then."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
