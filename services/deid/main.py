"""The de-identification service as a process's part."""

from __future__ import annotations

import asyncio
import os

from events.log.jetstream import JetStreamLog
from services.deid.consumer import Consumer
from services.deid.workplace import Workplace
from services.runtime.deidentifying.asking import Deidentifying
from services.runtime.deidentifying.secret import DeidSecret
from services.runtime.dispatch import Dispatch
from services.runtime.only_one import only_one
from services.runtime.reporting import report_sources
from services.runtime.settings import SettingRefused, Settings
from services.runtime.storage import Storage
from services.runtime.wiring import bus

_SILENCE = 600.0  # seconds without a word of an engine at work on a file, after which it is killed


async def run(settings: Settings) -> None:
    """Serves until cancelled; what it was at begins anew at the next start. Raises SettingRefused or NotReachable."""
    lock = settings.data_dir / "deid.lock"
    taken = f"Another de-identification service works on TRAINLEDGER_DATA_DIR {settings.data_dir} already."
    async with only_one(lock, taken), bus(settings, f"deid {settings.node}") as nc:
        log = JetStreamLog(nc)
        secret = DeidSecret(settings)
        await secret.start(log)
        storage = Storage(settings.storage)
        engine = Deidentifying(patience=_SILENCE)
        try:
            try:
                await asyncio.to_thread(storage.prepare)
            except OSError as error:
                raise SettingRefused(
                    f"TRAINLEDGER_STORAGE_DIR names {storage.root}, which cannot be used: {error.strerror}."
                ) from error
            place = Workplace(
                node=settings.node,
                nc=nc,
                log=log,
                dispatch=Dispatch(report_sources(log, settings)),
                storage=storage,
                engine=engine,
                secret=secret,
                processes=settings.deid_processes or max(1, (os.cpu_count() or 1) // 2),
                heartbeat=settings.node_heartbeat,
            )
            await Consumer(place, settings.data_dir / "deid.json").run()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise
        finally:
            await engine.stop()
            await asyncio.to_thread(storage.close)
