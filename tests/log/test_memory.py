"""The log in memory behaves as a log."""

from __future__ import annotations

import pytest

from events.log.memory import MemoryLog
from tests.log_suite import LogSuite, Plant


class TestMemoryLog(LogSuite):
    @pytest.fixture
    def log(self) -> MemoryLog:
        return MemoryLog()

    @pytest.fixture
    def plant(self, log: MemoryLog) -> Plant:
        async def plant(subject: str, headers: dict[str, str], body: bytes) -> None:
            log.store(subject, headers, body)

        return plant
