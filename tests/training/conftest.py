"""A Docker engine for the session, and a ledger for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.training import docker_engine
from tests.training.docker_engine import DockerEngine, DoesNotStart
from tests.training.ledger import Ledger, ledger


@pytest.fixture
async def book(nats_url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with ledger(nats_url, tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """Skips where there can be none; fails instead where TRAINLEDGER_REQUIRE_ALL is 1."""
    if reason := docker_engine.missing():
        _without(reason)
    made = DockerEngine()
    try:
        try:
            made.start()
        except DoesNotStart as error:
            _without(f"dockerd does not start here: {error}")
        made.import_image()
        yield made
    finally:
        made.stop()


def _without(reason: str) -> None:
    if os.environ.get("TRAINLEDGER_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
