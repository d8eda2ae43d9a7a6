"""A real ledger with a store of files, for tests of the dataset service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import nats
from nats.aio.client import Client

from contracts.datasets import AddDatasetFile, CreateDataset
from events.datasets import Dataset
from events.event import Event, Origin
from events.log.jetstream import JetStreamLog
from events.log.streams import ensure_streams
from services.datasets.checker import Checker
from services.datasets.consumer import Consumer
from services.datasets.examination import Examination
from services.datasets.retention import Retention
from services.runtime.commands import DATASETS
from services.runtime.dispatch import Dispatch, load
from services.runtime.storage import Storage, stored_name
from tests.training.ledger import sources

BOUND = 60.0

_F = TypeVar("_F", bound=Event)


def now() -> datetime:
    return datetime.now(UTC)


class Shelf:
    def __init__(self, nc: Client, directory: Path) -> None:
        self.nc = nc
        self.log = JetStreamLog(nc)
        self.dispatch = Dispatch(sources(self.log))
        self.storage = Storage(directory / "storage")
        self.storage.prepare()
        self.checkpoint = directory / "datasets.json"

    def consumer(self, checker: Checker | None = None, now: Callable[[], datetime] = now) -> Consumer:
        """One that knows nothing of what happened on the server before this test began, as others use it too."""
        return Consumer(
            self.log,
            Examination(self.log, self.dispatch, self.storage, checker or Checker()),
            Retention(self.dispatch, look=0.05, now=now),
            self.checkpoint,
        )

    async def dataset(self, retention_days: int | None = None) -> UUID:
        return (await self.dispatch(CreateDataset(name="pairs", retention_days=retention_days), origin())).aggregate_id

    async def upload(self, dataset_id: UUID, name: str, content: bytes | str) -> UUID:
        upload_id = uuid4()
        data = content.encode() if isinstance(content, str) else content

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        arrived = await self.storage.receive(chunks(), 1 << 40)
        await arrived.place(dataset_id, stored_name(upload_id, name))
        command = AddDatasetFile(
            dataset_id=dataset_id,
            upload_id=upload_id,
            name=name,
            stored_name=stored_name(upload_id, name),
            bytes=arrived.size,
            sha256=arrived.sha256,
        )
        await self.dispatch(command, origin())
        await arrived.settle()
        return upload_id

    async def state(self, dataset_id: UUID) -> Dataset:
        state = (await load(self.log, DATASETS, dataset_id)).state
        assert isinstance(state, Dataset)
        return state

    async def facts(self, dataset_id: UUID, kind: type[_F]) -> list[_F]:
        return [entry.fact for entry in await self.log.read("datasets", dataset_id) if isinstance(entry.fact, kind)]

    async def fact(self, dataset_id: UUID, kind: type[_F], times: int = 1) -> _F:
        """The last of so many facts of that kind, waited for."""
        async with asyncio.timeout(BOUND):
            async for batch in self.log.follow(0, ("datasets",)):
                for entry in batch:
                    if entry.meta.aggregate_id == dataset_id and isinstance(entry.fact, kind):
                        times -= 1
                        if times == 0:
                            return entry.fact
        raise AssertionError

    def stored(self) -> Sequence[str]:
        return sorted(path.name for path in self.storage.files.iterdir())


def origin() -> Origin:
    return Origin(actor="service:test", command_id=uuid4())


@asynccontextmanager
async def shelf(url: str, directory: Path) -> AsyncIterator[Shelf]:
    nc = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    made = None
    try:
        await ensure_streams(nc.jetstream())
        made = Shelf(nc, directory)
        made.checkpoint.write_text(f'{{"position": {await made.log.last_position()}}}')
        yield made
    finally:
        if made is not None:
            made.storage.close()
        await nc.close()


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[None]:
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()
