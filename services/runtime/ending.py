"""The end of background tasks, also of those that wait for an answer by a library."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from events.log.connection import cancel_until_over, cancellation_kept

_T = TypeVar("_T")


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancels tasks and returns when they are over; what one of them failed with is raised."""
    given = [task for task in tasks if task is not None]
    await cancel_until_over(*given)
    for task in given:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def answered(asking: Awaitable[_T]) -> _T:
    """The answer of the server, unless this task was cancelled meanwhile, which nats-py may lose."""
    with cancellation_kept():
        return await asking
