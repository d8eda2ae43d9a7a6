"""Waiting for what gives no sign when it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], within: float = 60.0) -> T:
    """What `look` gives once it gives something true; TimeoutError after `within` seconds."""
    async with asyncio.timeout(within):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(0.01)


async def becomes_true(look: Callable[[], bool], within: float = 60.0) -> None:
    async def looked() -> bool:
        return look()

    await eventually(looked, within)
