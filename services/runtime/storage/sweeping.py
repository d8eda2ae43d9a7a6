"""Removes what an ended process left of files that no fact names, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from events import datasets as facts
from events.datasets import Dataset, DatasetFact
from events.log import EventLog
from events.train_config import TRAIN_CONFIG, TrainConfigFact, TrainConfigUploaded
from services.runtime.storage.arriving import DOUBTFUL, lock
from services.runtime.storage.store import Storage

# What the dead had sent has arrived by then, and what is being created is locked (seconds).
_YOUNGEST = 2.0
# A process that lives may still get an append through that it gave up: longer than any retry of the log's.
_YOUNGEST_DOUBTFUL = 120.0

Named = Callable[[UUID, str], bool]

_log = logging.getLogger(__name__)


async def sweep(storage: Storage, log: EventLog) -> bool:
    """Whether nothing was left for later. Safe at any time, in any number of processes. OSError, LogUnavailable.

    Whatever arrives is locked by its process; a lock that can be had means that the process ended. The file has then
    either been placed, and its entry names the dataset whose facts tell whether it counts, or it has not.
    """
    loop = asyncio.get_running_loop()

    def named(dataset_id: UUID, stored_name: str) -> bool:
        return asyncio.run_coroutine_threadsafe(names(log, dataset_id, stored_name), loop).result()

    return await loop.run_in_executor(storage.threads, _sweep, storage, named)


async def names(log: EventLog, dataset_id: UUID, stored_name: str) -> bool:
    """Whether a file of that name is, as of now, a dataset's, or a version of the training configuration, whose id is
    `TRAIN_CONFIG`. LogUnavailable."""
    if dataset_id == TRAIN_CONFIG:
        versions = [entry.fact for entry in await log.read(TrainConfigFact.context, TRAIN_CONFIG)]
        return any(isinstance(fact, TrainConfigUploaded) and fact.file.stored_name == stored_name for fact in versions)
    dataset = Dataset()
    for recorded in await log.read(DatasetFact.context, dataset_id):
        assert isinstance(recorded.fact, facts.AnyDatasetFact)
        dataset = facts.evolve(dataset, recorded.fact)
    return dataset.exists and stored_name in dataset.stored_names


def _sweep(storage: Storage, named: Named) -> bool:
    settled = [_settle(storage, entry, named) for entry in sorted(storage.incoming.iterdir())]
    return all(settled)


def _settle(storage: Storage, entry: Path, named: Named) -> bool:
    owned = _owner(entry)
    with storage.alone():
        try:
            descriptor = os.open(entry, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            if not lock(descriptor):
                return True  # somebody looks after it
            age = time.time() - os.fstat(descriptor).st_mtime
            if age < (_YOUNGEST_DOUBTFUL if entry.name.endswith(DOUBTFUL) else _YOUNGEST):
                return False
            if owned is not None and not named(*owned):
                storage.remove(owned[1])
            entry.unlink()
            _log.info("removed what was left of an upload: %s", entry.name)
        finally:
            os.close(descriptor)
    return True


def _owner(entry: Path) -> tuple[UUID, str] | None:
    """The dataset of a file that was placed, and its stored name."""
    dataset_id, dot, name = entry.name.removesuffix(DOUBTFUL).partition(".")
    if not dot or len(dataset_id) != 36:
        return None
    return UUID(dataset_id), name
