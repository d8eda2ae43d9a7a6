"""Reading on while a batch is worked on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")

_BATCHES_AHEAD = 10


async def gathered(batches: AsyncIterator[list[T]], most: int) -> AsyncGenerator[list[T], None]:
    """What came while the last was worked on, as one batch, which stops growing at `most` items.

    So one fact that comes alone is given at once, and a rebuild gets batches large enough to be fast. Ends, or raises,
    as `batches` does, after everything that came before.
    """
    arrived: asyncio.Queue[list[T] | None] = asyncio.Queue()
    room = asyncio.Semaphore(_BATCHES_AHEAD)

    async def read() -> None:
        try:
            async for batch in batches:
                await room.acquire()
                arrived.put_nowait(batch)
        finally:
            arrived.put_nowait(None)
            if isinstance(batches, AsyncGenerator):
                await batches.aclose()  # now, and not when it is collected, lets it go of what it holds

    reader = asyncio.create_task(read())
    try:
        ended = False
        while not ended:
            together: list[T] = []
            while not ended and (not together or (len(together) < most and not arrived.empty())):
                batch = await arrived.get()
                if batch is None:
                    ended = True
                else:
                    room.release()
                    together += batch
            if together:
                yield together
        await reader
    finally:
        reader.cancel()
        await asyncio.wait({reader})
