"""What jobs of the de-identification service share, and why one of them cannot be done."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from uuid import UUID

import msgspec
from nats.aio.client import Client

from contracts.deid import ReportDeidentificationFailed
from events.deid import JobFailure
from events.log import EventLog
from services.runtime.deidentifying.asking import Deidentifying
from services.runtime.deidentifying.secret import DeidSecret
from services.runtime.dispatch import Dispatch
from services.runtime.storage import Storage


class Workplace(msgspec.Struct, frozen=True, kw_only=True):
    """What jobs of this service share. `free` is held by the one at work; `processes` work on its files.

    `heartbeat`: seconds between two of them.
    """

    node: str
    nc: Client
    log: EventLog
    dispatch: Dispatch
    storage: Storage
    engine: Deidentifying
    secret: DeidSecret
    processes: int
    heartbeat: float = 5.0
    free: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    def directory(self, job_id: UUID) -> Path:
        """Where unfinished outputs of a job lie, on the device of the storage."""
        return self.storage.root / "deid" / str(job_id)

    def clear(self, live: frozenset[UUID]) -> None:
        """Removes what ended jobs left, as the service may be killed between their end and that. Synchronous."""
        for entry in self.storage.root.glob("deid/*"):
            if entry.name not in map(str, live) and (entry / self.node).exists():
                shutil.rmtree(entry, ignore_errors=True)


class Failed(Exception):
    """Why a job cannot be done; nothing of the data stands in it."""

    def __init__(self, cause: JobFailure, zh: str, en: str, file: str | None = None, line: int | None = None) -> None:
        super().__init__(en)
        self.cause, self._zh, self._en, self.file, self._line = cause, zh, en, file, line

    def told(self, job_id: UUID) -> ReportDeidentificationFailed:
        return ReportDeidentificationFailed(
            job_id=job_id, cause=self.cause, reason=self._zh, reason_en=self._en, file=self.file, line=self._line
        )
