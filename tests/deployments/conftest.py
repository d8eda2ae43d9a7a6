"""A node that serves, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.log.connection import connect
from events.log.streams import ensure_streams
from tests.deployments.place import Place


@pytest.fixture
async def place(nats_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    nc = await connect(nats_url)
    await ensure_streams(nc.jetstream())
    made = Place(nc, tmp_path)
    try:
        yield made
    finally:
        await made.end()
        await nc.close()
