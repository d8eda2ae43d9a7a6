"""A NATS server with the streams of a ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from events.log.connection import connect
from events.log.streams import ensure_streams


@pytest.fixture
async def nc(nats_url: str) -> AsyncIterator[Client]:
    client = await connect(nats_url)
    try:
        await ensure_streams(client.jetstream())
        yield client
    finally:
        await client.close()
