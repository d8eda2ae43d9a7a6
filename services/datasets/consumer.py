"""Follows the facts of datasets: has files that were added checked, and uploads expired in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from events.datasets import (
    DatasetCreated,
    DatasetDeleted,
    DatasetFact,
    DatasetFileAdded,
    DatasetFileChecked,
    DatasetFileRemoved,
    DatasetFilesExpired,
    DatasetRetentionSet,
    DatasetVersionDerived,
)
from events.event import Recorded
from events.log import EventLog
from services.datasets.examination import Examination
from services.datasets.retention import Retention
from services.runtime.checkpoints import Checkpoints, Seen

_AT_ONCE = 2  # checks, as each may use a processor for long
_LONGEST_PAUSE = 60.0

_log = logging.getLogger(__name__)


class Checkpoint(Seen, frozen=True):
    """Of the facts that were seen, the files in `unchecked` (dataset, upload) have no verdict yet.

    The datasets in `retained` have a time after which their uploads go.
    """

    unchecked: tuple[tuple[UUID, UUID], ...] = ()
    retained: tuple[UUID, ...] = ()


class Consumer:
    """May be killed anywhere: what was not on record by then is done again."""

    def __init__(self, log: EventLog, examination: Examination, retention: Retention, checkpoint: Path) -> None:
        self._log = log
        self._examination = examination
        self._retention = retention
        self._checkpoints = Checkpoints(checkpoint, Checkpoint)
        self._position = 0
        self._checks: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled."""
        checkpoint = await self._checkpoints.last(self._log)
        self._position = checkpoint.position
        async with asyncio.TaskGroup() as group:
            group.create_task(self._checkpoints.keep(self._checkpoint), name="checkpoints")
            group.create_task(self._retention.run(), name="retention")
            for dataset_id in checkpoint.retained:
                self._retention.add(dataset_id)
            for file in checkpoint.unchecked:
                self._check(file, group)
            async for batch in self._log.follow(self._position, (DatasetFact.context,)):
                self._on_batch(batch, group)
                self._position = batch[-1].meta.position
                self._checkpoints.changed()

    def _on_batch(self, batch: list[Recorded], group: asyncio.TaskGroup) -> None:
        over = {entry.fact.upload_id for entry in batch if isinstance(entry.fact, DatasetFileChecked)}
        for entry in batch:
            dataset_id = entry.meta.aggregate_id
            match entry.fact:
                case DatasetCreated(retention_days=days) | DatasetRetentionSet(retention_days=days):
                    self._retain(dataset_id, days)
                case DatasetFileAdded(file=file) if file.upload_id not in over:
                    self._check((dataset_id, file.upload_id), group)
                case DatasetVersionDerived(files=files):
                    for file in files:
                        if file.upload_id not in over:
                            self._check((dataset_id, file.upload_id), group)
                case DatasetFileChecked(upload_id=upload_id) | DatasetFileRemoved(upload_id=upload_id):
                    self._leave(dataset_id, (upload_id,))
                case DatasetFilesExpired(upload_ids=upload_ids):
                    self._leave(dataset_id, upload_ids)
                case DatasetDeleted():
                    self._retain(dataset_id, None)
                    self._leave(dataset_id, [upload for dataset, upload in self._checks if dataset == dataset_id])

    def _retain(self, dataset_id: UUID, days: int | None) -> None:
        if days is None:
            self._retention.discard(dataset_id)
        else:
            self._retention.add(dataset_id)

    def _check(self, file: tuple[UUID, UUID], group: asyncio.TaskGroup) -> None:
        if file not in self._checks:
            self._checks[file] = group.create_task(self._persist(*file), name=f"check of {file[1]}")

    def _leave(self, dataset_id: UUID, upload_ids: Iterable[UUID]) -> None:
        for upload_id in upload_ids:
            if check := self._checks.pop((dataset_id, upload_id), None):
                check.cancel()

    async def _persist(self, dataset_id: UUID, upload_id: UUID) -> None:
        pause = 1.0
        while True:
            try:
                async with self._turns:
                    await self._examination(dataset_id, upload_id)
                break
            except Exception as error:  # noqa: BLE001 - a file must not stay without a verdict, whatever befell this one
                _log.warning("the check of upload %s begins again in %.0f s: %s", upload_id, pause, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._checks.pop((dataset_id, upload_id), None)
        self._checkpoints.changed()

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._position, tuple(self._checks), self._retention.datasets)
