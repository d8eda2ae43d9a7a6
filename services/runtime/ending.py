"""The end of background tasks, also of those that wait for an answer by a library."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from events.log.connection import cancellation_kept

_AGAIN = 0.1

_T = TypeVar("_T")


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancels tasks and returns when they are over; what they failed with is raised.

    One cancellation may not do: `asyncio.wait_for` of Python 3.11, in which nats-py waits for messages, loses it where
    a message comes at the same time.
    """
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error


async def answered(asking: Awaitable[_T]) -> _T:
    """The answer of the server, unless this task was cancelled meanwhile, which nats-py may lose."""
    with cancellation_kept():
        return await asking
