"""The log on a real nats-server behaves as a log."""

from __future__ import annotations

import pytest
from nats.aio.client import Client

from events.log.jetstream import JetStreamLog
from tests.log_suite import LogSuite, Plant


class TestJetStreamLog(LogSuite):
    @pytest.fixture
    def log(self, ledger: Client) -> JetStreamLog:
        return JetStreamLog(ledger)

    @pytest.fixture
    def plant(self, ledger: Client) -> Plant:
        async def plant(subject: str, headers: dict[str, str], body: bytes) -> None:
            await ledger.jetstream().publish(subject, body, headers=headers)

        return plant
