"""Looks after the store: sweeps, ends expired uploads, and removes the bytes that facts say are to go."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID, uuid5

import msgspec

from contracts.datasets import AddDatasetFile
from contracts.problems import Refused
from events.datasets import Dataset, DatasetDeleted, DatasetFact, DatasetFileRemoved, DatasetFilesExpired
from events.event import Event, Origin
from events.log import EventLog, LogReplaced, LogUnavailable, UnreadableFact
from services.runtime.commands import DATASETS
from services.runtime.dispatch import Accepted, Dispatch, load
from services.runtime.durable_files import write_durably
from services.runtime.ending import end
from services.runtime.storage.recording import record
from services.runtime.storage.resumable import Resumable, Unfinished
from services.runtime.storage.store import Storage
from services.runtime.storage.sweeping import sweep

ACTOR = "service:storage"
_OFTEN, _SELDOM = 5.0, 60.0  # seconds from one sweep to the next, while something is left for later or not
_PAUSE = 1.0
_SAVED_EVERY = 1_000  # positions: reading so many again at the next start is soon done

# Never changes: the command that records a resumable upload has the same id whoever sends it.
_RECORDING = UUID("6a3f0a54-1f0e-5d8e-9d53-3f6c8b6f8a41")

_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True):
    """How far the facts were followed."""

    position: int


def recording_id(upload_id: UUID) -> UUID:
    return uuid5(_RECORDING, str(upload_id))


def to_go(fact: Event) -> tuple[str, ...]:
    """The stored names of the files whose bytes go by this fact."""
    match fact:
        case DatasetFileRemoved():
            return (fact.stored_name,)
        case DatasetFilesExpired() | DatasetDeleted():
            return fact.stored_names
        case _:
            return ()


class Keeper:
    """One for each process that lets files in; several on one store do each other no harm."""

    def __init__(self, storage: Storage, resumable: Resumable, log: EventLog, dispatch: Dispatch) -> None:
        self._storage = storage
        self._resumable = resumable
        self._log = log
        self._dispatch = dispatch
        self._tasks: list[asyncio.Task[None]] = []
        self._path = storage.root / "position.json"

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._sweep_for_ever(), name="sweeps of the storage"),
            asyncio.create_task(self._follow_for_ever(), name="removals from the storage"),
        ]

    async def stop(self) -> None:
        await end(*self._tasks)

    async def sweep(self) -> bool:
        """Whether nothing was left for later. OSError, LogUnavailable, Refused."""
        await self._resumable.clean()
        known = await self._resumable.all()
        datasets = {unfinished.described.dataset_id for unfinished in known}
        deleted = {dataset_id for dataset_id in datasets if await self._is_deleted(dataset_id)}
        for unfinished in known:
            if unfinished.complete:
                await self._record(unfinished)
            elif self._resumable.expired(unfinished) or unfinished.described.dataset_id in deleted:
                await self._expire(unfinished)
        return await sweep(self._storage, self._log)

    async def _is_deleted(self, dataset_id: UUID) -> bool:
        dataset: Dataset = (await load(self._log, DATASETS, dataset_id)).state
        return dataset.deleted

    async def _sweep_for_ever(self) -> None:
        while True:
            settled = False
            try:
                settled = await self.sweep()
            except (OSError, LogUnavailable, Refused, UnreadableFact) as error:
                _log.warning("the storage could not be swept: %r", error)
            await asyncio.sleep(_SELDOM if settled else _OFTEN)

    async def _record(self, unfinished: Unfinished) -> None:
        """Whoever sent its last byte died before it was recorded, or could not reach the log."""
        upload_id = unfinished.described.upload_id
        origin = Origin(actor=ACTOR, command_id=recording_id(upload_id))

        async def hand_in(command: AddDatasetFile) -> Accepted:
            return await self._dispatch(command, origin)

        try:
            described, part = await self._resumable.complete(upload_id)
            await record(part, described.dataset_id, upload_id, described.name, hand_in)
        except Refused as refused:
            _log.info("the upload %s was not recorded: %s", upload_id, refused.text("en"))

    async def _expire(self, unfinished: Unfinished) -> None:
        try:
            await self._resumable.abort(unfinished.described.upload_id)
        except Refused as refused:
            _log.info("the upload %s was not ended: %s", unfinished.described.upload_id, refused.text("en"))

    async def _follow_for_ever(self) -> None:
        position = await asyncio.to_thread(self._read)
        while True:
            try:
                position = await self._follow(position)
            except LogReplaced as error:
                _log.warning("following datasets from the start: %s", error)
                position = 0
            except (LogUnavailable, OSError) as error:
                _log.warning("following datasets again: %s", error)
            except UnreadableFact as error:
                _log.error("passing over a fact: %s", error)
                position = error.position
            await asyncio.sleep(_PAUSE)

    async def _follow(self, position: int) -> int:
        saved = position
        async for batch in self._log.follow(position, (DatasetFact.context,)):
            gone = [name for recorded in batch for name in to_go(recorded.fact)]
            for name in gone:
                await asyncio.to_thread(self._storage.remove, name)
            position = batch[-1].meta.position
            if gone or position - saved >= _SAVED_EVERY:
                await asyncio.to_thread(write_durably, self._path, msgspec.json.encode(_Kept(position)))
                saved = position
        return position

    def _read(self) -> int:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Kept).position
        except FileNotFoundError:
            return 0
