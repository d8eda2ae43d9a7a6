"""A real ledger for tests of the de-identification service: a log, a store with datasets in it, and its service."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import nats
import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from contracts.datasets import AddDatasetFile, CreateDataset
from contracts.deid import CancelDeidentification, DeidentifyDataset
from events.datasets import Dataset
from events.deid import DeidentificationCanceled, DeidentificationCompleted, DeidentificationFailed
from events.event import Event, Origin
from events.log.jetstream import JetStreamLog
from events.log.streams import ensure_streams
from services.deid.consumer import Consumer
from services.deid.workplace import Workplace
from services.runtime.commands import DATASETS
from services.runtime.deidentifying.asking import Deidentifying
from services.runtime.deidentifying.secret import DeidSecret
from services.runtime.dispatch import Dispatch, load
from services.runtime.settings import Settings
from services.runtime.storage import Storage, stored_name
from tests.training.ledger import sources

BOUND = 60.0
TERMINAL = (DeidentificationCompleted, DeidentificationFailed, DeidentificationCanceled)

_F = TypeVar("_F", bound=Event)


class DeidLedger:
    """`like` is another one, whose store and key this one has too."""

    def __init__(self, nc: Client, url: str, directory: Path, like: DeidLedger | None = None) -> None:
        self.nc = nc
        shared = directory if like is None else like.settings.data_dir
        self.settings: Settings = Settings(
            nats_url=url,
            data_dir=directory,
            storage_dir=shared / "storage",
            deid_key_file=None if like is None else shared / "deid.key",
            node=f"node-{uuid4()}",
        )
        self.log = JetStreamLog(nc)
        self.secret = DeidSecret(self.settings)
        self.dispatch = Dispatch(replace(sources(self.log), seal=self.secret.seal))
        self.storage = Storage(self.settings.storage)
        self.storage.prepare()

    @asynccontextmanager
    async def service(self, heartbeat: float = 5.0) -> AsyncIterator[Workplace]:
        """It works until the end of the block."""
        engine = Deidentifying(patience=BOUND)
        place = Workplace(
            node=self.settings.node,
            nc=self.nc,
            log=self.log,
            dispatch=self.dispatch,
            storage=self.storage,
            engine=engine,
            secret=self.secret,
            processes=1,
            heartbeat=heartbeat,
        )
        task = asyncio.create_task(Consumer(place, self.settings.data_dir / "deid.json").run())
        try:
            yield place
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await engine.stop()

    async def dataset(self, **files: bytes) -> UUID:
        """Files by name, `train_jsonl` for `train.jsonl`."""
        dataset_id = (await self.dispatch(CreateDataset(name="pairs"), origin())).aggregate_id
        for key, content in files.items():
            name, upload_id = ".".join(key.rsplit("_", 1)), uuid4()
            stored = stored_name(upload_id, name)
            self.storage.path(stored).write_bytes(content)
            await self.dispatch(
                AddDatasetFile(
                    dataset_id=dataset_id,
                    upload_id=upload_id,
                    name=name,
                    stored_name=stored,
                    bytes=len(content),
                    sha256=hashlib.sha256(content).hexdigest(),
                ),
                origin(),
            )
        return dataset_id

    async def state(self, dataset_id: UUID) -> Dataset:
        dataset: Dataset = (await load(self.log, DATASETS, dataset_id)).state
        return dataset

    async def request(self, dataset_id: UUID, policy_id: str = "default", **fields: Any) -> UUID:
        command = DeidentifyDataset(dataset_id=dataset_id, policy_id=policy_id, **fields)
        return (await self.dispatch(command, origin())).aggregate_id

    async def cancel(self, job_id: UUID) -> None:
        await self.dispatch(CancelDeidentification(job_id=job_id), origin())

    async def facts(self, job_id: UUID) -> list[Event]:
        return [entry.fact for entry in await self.log.read("deid", job_id)]

    async def fact(self, job_id: UUID, kind: type[_F]) -> _F:
        """The job's fact of that kind, waited for."""
        async with asyncio.timeout(BOUND):
            async for batch in self.log.follow(0, ("deid",)):
                for entry in batch:
                    if entry.meta.aggregate_id == job_id and isinstance(entry.fact, kind):
                        return entry.fact
                    if entry.meta.aggregate_id == job_id and isinstance(entry.fact, TERMINAL):
                        pytest.fail(f"the job ended otherwise: {entry.fact}")
        raise AssertionError

    async def outputs(self, dataset_id: UUID, job_id: UUID) -> dict[str, bytes]:
        """The files of the version that the job made, by name; there is one such version."""
        dataset = await self.state(dataset_id)
        [version] = [version for version in dataset.versions if version.job_id == job_id]
        found = {file.name: self.storage.path(file.stored_name).read_bytes() for file in version.files}
        for file in version.files:
            content = found[file.name]
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
        return found

    def stored(self) -> set[str]:
        return {path.name for path in self.storage.files.iterdir()}

    async def tidied(self) -> None:
        """Returns once nothing is left that is neither a stored file nor on its way to be one."""
        async with asyncio.timeout(BOUND):
            while [*self.storage.incoming.iterdir(), *self.storage.root.glob("deid/*")]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def origin() -> Origin:
    return Origin(actor=str(uuid4()), command_id=uuid4())


@asynccontextmanager
async def deid_ledger(url: str, directory: Path, like: DeidLedger | None = None) -> AsyncIterator[DeidLedger]:
    nc = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    try:
        await ensure_streams(nc.jetstream())
        made = DeidLedger(nc, url, directory, like)
        yield made
        made.storage.close()
    finally:
        await nc.close()
