"""Reading on while a batch is worked on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

T = TypeVar("T")


def _one(_: object) -> int:
    return 1


async def gathered(
    batches: AsyncGenerator[list[T], None], most: int, weight: Callable[[T], int] = _one
) -> AsyncGenerator[list[T], None]:
    """What came while the last was worked on, as one batch, which stops growing once it weighs `most`.

    So one fact that comes alone is given at once, and a rebuild gets batches large enough to be fast. Ends, or raises,
    as `batches` does, after everything that came before.
    """
    ahead: list[T] = []
    weighed = 0
    came, room = asyncio.Event(), asyncio.Event()
    room.set()
    ended = False

    async def read() -> None:
        nonlocal ended, weighed
        try:
            async for batch in batches:
                await room.wait()
                ahead.extend(batch)
                weighed += sum(map(weight, batch))
                came.set()
                if weighed >= most:
                    room.clear()
        finally:
            ended = True
            came.set()
            await batches.aclose()  # now, and not when it is collected, lets it go of what it holds

    reader = asyncio.create_task(read())
    try:
        while True:
            await came.wait()
            if not ahead:
                break
            together = ahead.copy()
            ahead.clear()
            weighed = 0
            room.set()
            if not ended:
                came.clear()
            yield together
        await reader
    finally:
        reader.cancel()
        await asyncio.wait({reader})
