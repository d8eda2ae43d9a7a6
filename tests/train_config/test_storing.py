"""A configuration whose upload was killed is kept if a fact names it, and nodes elsewhere can fetch it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import nats
import pytest

from events.datasets import DatasetCreated, DatasetFact, DatasetTrainConfigSet
from events.event import Event, Origin
from events.log import Change
from events.log.memory import MemoryLog
from events.runs import Run
from events.train_config import TRAIN_CONFIG, TrainConfigFact, TrainConfigFile, TrainConfigUploaded
from services.datasets.giving import answer_stored_file_questions
from services.runtime.nodes.stored_files import StoredFiles
from services.runtime.storage import Storage
from services.runtime.storage.sweeping import sweep
from services.training.inputs import Inputs
from tests.training.test_inputs import config

CONTENT = b"stage: sft\n"
FILE = TrainConfigFile(
    filename="a.yaml", stored_name="1_a.yaml", size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()
)
DATASET = UUID(int=3)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    made = Storage(tmp_path / "storage")
    made.prepare()
    yield made
    made.close()


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("owner", [TRAIN_CONFIG, DATASET])
async def test_a_sweep_keeps_what_a_fact_names(storage: Storage, owner: UUID, recorded: bool) -> None:
    log = MemoryLog()
    facts: tuple[Event, ...] = ()
    if owner == DATASET:
        facts = (DatasetCreated(name="d"), *([DatasetTrainConfigSet(file=FILE)] if recorded else []))
    elif recorded:
        facts = (TrainConfigUploaded(version=1, file=FILE),)
    context = DatasetFact.context if owner == DATASET else TrainConfigFact.context
    if facts:
        origin = Origin(actor="service:test", command_id=uuid4())
        await log.append(Change(context=context, aggregate_id=owner, facts=facts), origin=origin)
    arrived = await storage.receive(chunks(CONTENT), 100)
    await arrived.place(owner, FILE.stored_name)
    os.close(arrived._descriptor)  # as the kernel does when a process is killed
    for entry in storage.incoming.iterdir():
        os.utime(entry, (1, 1))
    assert await sweep(storage, log)
    assert [path.name for path in storage.files.iterdir()] == ([FILE.stored_name] if recorded else [])
    assert not list(storage.incoming.iterdir())


async def test_a_node_elsewhere_fetches_what_it_has_not(storage: Storage, tmp_path: Path, nats_url: str) -> None:
    """Over the bus, by the service that answers for the store, in several pieces."""
    content = b"stage: sft\n" + b"# " + b"x" * 3_000_000 + b"\n"
    file = config(content)
    storage.path(file.stored_name).write_bytes(content)
    (tmp_path / "training").mkdir()
    connection = await nats.connect(nats_url)
    try:
        subscription = await answer_stored_file_questions(connection, storage)
        inputs = Inputs(tmp_path / "training", tmp_path / "nothing", StoredFiles(connection))
        await inputs.place(uuid4(), Run(stored_config=file))
        await subscription.unsubscribe()
    finally:
        await connection.close()
    assert (tmp_path / "training" / file.path).read_bytes() == content
