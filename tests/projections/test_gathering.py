"""Batches that grow while the reader of them is busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from services.projector.gathering import gathered


async def source(*batches: list[int], then: Exception | None = None) -> AsyncGenerator[list[int], None]:
    for batch in batches:
        yield batch
    if then is not None:
        raise then


async def test_what_comes_while_the_last_is_worked_on_is_one_batch() -> None:
    found = []
    async with aclosing(gathered(source([1], [2], [3, 4], [5]), 100)) as batches:
        async for batch in batches:
            found.append(batch)
            await asyncio.sleep(0)  # lets the source go on
    assert [item for batch in found for item in batch] == [1, 2, 3, 4, 5]
    assert len(found) < 4


async def test_a_batch_stops_growing() -> None:
    found = []
    async with aclosing(gathered(source(*([n, n] for n in range(50))), 4)) as batches:
        async for batch in batches:
            found.append(batch)
            await asyncio.sleep(0)
    assert sum(map(len, found)) == 100
    assert max(map(len, found)) <= 4


async def test_one_that_comes_alone_is_given_at_once() -> None:
    pending = asyncio.Event()

    async def slow() -> AsyncGenerator[list[int], None]:
        yield [1]
        await pending.wait()

    async with aclosing(gathered(slow(), 100)) as batches:
        async with asyncio.timeout(60):
            assert await anext(batches) == [1]


async def test_an_error_comes_after_what_came_before_it() -> None:
    found = []

    async def collect() -> None:
        async with aclosing(gathered(source([1], [2], then=LookupError("broken")), 100)) as batches:
            async for batch in batches:
                found.extend(batch)

    with pytest.raises(LookupError):
        await collect()
    assert found == [1, 2]


async def test_the_source_is_closed_with_it() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[list[int], None]:
        try:
            while True:
                yield [1]
        finally:
            closed.set()

    async with aclosing(gathered(endless(), 3)) as batches:
        assert len(await anext(batches)) >= 1
    assert closed.is_set()
