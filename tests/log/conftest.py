"""A connection and an empty ledger on the test's server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from events.log.connection import connect
from events.log.streams import ensure_streams


@pytest.fixture
async def nc(nats_url: str) -> AsyncIterator[Client]:
    connection = await connect(nats_url)
    yield connection
    await connection.close()


@pytest.fixture
async def ledger(nc: Client) -> Client:
    """A connection to a server with empty streams."""
    await ensure_streams(nc.jetstream())
    return nc
