"""The dataset service as a process's part."""

from __future__ import annotations

import asyncio
import logging

from events.log.jetstream import JetStreamLog
from services.datasets.checker import Checker
from services.datasets.consumer import Consumer
from services.datasets.examination import Examination
from services.datasets.giving import answer_stored_file_questions
from services.datasets.retention import Retention
from services.runtime.dispatch import Dispatch
from services.runtime.only_one import only_one
from services.runtime.reporting import report_sources
from services.runtime.settings import SettingRefused, Settings
from services.runtime.storage import Storage
from services.runtime.wiring import bus

_log = logging.getLogger("trainledger.datasets")


async def run(settings: Settings) -> None:
    """Serves until cancelled. Raises SettingRefused or NotReachable."""
    storage = Storage(settings.storage)
    try:
        await asyncio.to_thread(storage.prepare)
    except OSError as error:
        raise SettingRefused(f"TRAINLEDGER_STORAGE_DIR {storage.root} cannot be used: {error.strerror}.") from error
    taken = f"Another dataset service works on TRAINLEDGER_STORAGE_DIR {storage.root} already."
    async with only_one(storage.root / "datasets.lock", taken), bus(settings, "datasets") as nc:
        log = JetStreamLog(nc)
        dispatch = Dispatch(report_sources(log, settings))
        consumer = Consumer(
            log,
            Examination(log, dispatch, storage, Checker()),
            Retention(dispatch),
            settings.data_dir / "datasets.json",
        )
        answering = await answer_stored_file_questions(nc, storage)
        _log.info("files in %s are checked", storage.root)
        try:
            await consumer.run()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise
        finally:
            if nc.is_connected:
                await answering.unsubscribe()
            storage.close()
