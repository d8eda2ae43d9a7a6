"""The dataset service on a real log: one verdict for each file, and no uploads past their time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from contracts.datasets import AbortUpload, DeleteDataset, SetDatasetRetention
from events.datasets import (
    BadLine,
    DatasetDeleted,
    DatasetFileChecked,
    DatasetFilesExpired,
    DatasetRetentionSet,
    FoundField,
)
from services.datasets.checker import Checker
from services.datasets.checking.findings import Verdict
from services.datasets.consumer import Checkpoint
from services.datasets.examination import Examination
from services.runtime.checkpoints import read_checkpoint
from tests.datasets.checked import jsonl
from tests.datasets.shelf import BOUND, Shelf, now, origin, running, shelf

ALPACA = jsonl({"instruction": "写诗", "output": "春眠不觉晓"}, {"instruction": "a", "input": "", "output": "b"})


@pytest.fixture
async def books(nats_url: str, tmp_path: Path) -> AsyncIterator[Shelf]:
    async with shelf(nats_url, tmp_path) as made:
        yield made


class Waits(Checker):
    """Is at work on a file until it is let on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.let_on = asyncio.Event()
        self.at_work = 0

    async def __call__(self, path: Path, name: str, sha256: str | None = None) -> Verdict:
        self.at_work += 1
        self.begun.set()
        try:
            await self.let_on.wait()
        finally:
            self.at_work -= 1
        return Verdict(verdict="valid", format="text")


async def test_what_a_file_holds_goes_on_record(books: Shelf) -> None:
    dataset_id = await books.dataset()
    upload_id = await books.upload(dataset_id, "train.jsonl", ALPACA)
    async with running(books.consumer()):
        found = await books.fact(dataset_id, DatasetFileChecked)
    assert found == DatasetFileChecked(
        upload_id=upload_id,
        verdict="valid",
        format="jsonl",
        records=2,
        fields=("instruction", "output", "input"),
        training_format="alpaca",
        schema=(
            FoundField(name="instruction", types=("string",), present=2),
            FoundField(name="output", types=("string",), present=2),
            FoundField(name="input", types=("string",), present=1),
        ),
    )
    assert (await books.state(dataset_id)).status == "ready"
    [entry] = [e for e in await books.log.read("datasets", dataset_id) if isinstance(e.fact, DatasetFileChecked)]
    assert entry.meta.origin.actor == "service:datasets"


async def test_a_broken_file_makes_the_dataset_invalid_and_a_check_tells_no_content(books: Shelf) -> None:
    dataset_id = await books.dataset()
    upload_id = await books.upload(dataset_id, "train.jsonl", ALPACA + '{"instruction": "秘密\n')
    async with running(books.consumer()):
        found = await books.fact(dataset_id, DatasetFileChecked)
    assert (found.verdict, found.reason, found.bad_records) == ("invalid", "json_syntax", 1)
    assert found.problems == (BadLine(line=3, reason="json_syntax"),)
    assert "秘密" not in repr(found)
    assert (await books.state(dataset_id)).status == "invalid"
    await books.dispatch(AbortUpload(dataset_id=dataset_id, upload_id=upload_id), origin())
    assert (await books.state(dataset_id)).status == "created"


async def test_bytes_that_changed_since_the_upload_are_invalid(books: Shelf) -> None:
    dataset_id = await books.dataset()
    upload_id = await books.upload(dataset_id, "train.jsonl", ALPACA)
    stored = books.storage.path(f"{upload_id}_train.jsonl")
    stored.chmod(0o644)
    stored.write_text(ALPACA.replace("写诗", "唱歌"))
    async with running(books.consumer()):
        found = await books.fact(dataset_id, DatasetFileChecked)
    assert (found.verdict, found.reason, found.format) == ("invalid", "altered", None)


async def test_a_file_that_is_removed_while_it_is_checked_gets_no_verdict(books: Shelf) -> None:
    """Its bytes are gone before the fact is seen: the check fails, comes again, and finds nothing left to do."""
    dataset_id, other = await books.dataset(), await books.dataset()
    upload_id = await books.upload(dataset_id, "train.jsonl", ALPACA)
    books.storage.remove(f"{upload_id}_train.jsonl")
    await books.upload(other, "train.jsonl", ALPACA)
    async with running(books.consumer()):
        await books.fact(other, DatasetFileChecked)
        await books.dispatch(AbortUpload(dataset_id=dataset_id, upload_id=upload_id), origin())
        async with asyncio.timeout(BOUND):
            while str(upload_id) in books.checkpoint.read_text():  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.02)
    assert await books.facts(dataset_id, DatasetFileChecked) == []
    assert (await books.state(dataset_id)).status == "created"


async def test_one_verdict_however_many_look_and_however_often(books: Shelf) -> None:
    dataset_id = await books.dataset()
    for number in range(3):
        await books.upload(dataset_id, f"{number}.jsonl", ALPACA)
    async with running(books.consumer()), running(books.consumer()):
        await books.fact(dataset_id, DatasetFileChecked, times=3)
    before = books.checkpoint.read_bytes()
    books.checkpoint.unlink()
    late = await books.dataset()
    await books.upload(late, "late.jsonl", ALPACA)
    async with running(books.consumer()):
        await books.fact(late, DatasetFileChecked)
    assert before
    assert len(await books.facts(dataset_id, DatasetFileChecked)) == 3


async def test_a_check_that_was_broken_off_begins_again(books: Shelf) -> None:
    dataset_id = await books.dataset()
    upload_id = await books.upload(dataset_id, "train.jsonl", ALPACA)
    waits = Waits()
    async with running(books.consumer(waits)):
        await waits.begun.wait()
        async with asyncio.timeout(BOUND):
            while str(upload_id) not in books.checkpoint.read_text():  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.02)
    assert await books.facts(dataset_id, DatasetFileChecked) == []
    async with running(books.consumer()):
        await books.fact(dataset_id, DatasetFileChecked)


async def test_a_file_that_cannot_be_read_waits_for_its_verdict(books: Shelf) -> None:
    dataset_id = await books.dataset()
    await books.upload(dataset_id, "train.jsonl", ALPACA)
    [name] = books.stored()
    content = books.storage.path(name).read_bytes()
    books.storage.path(name).unlink()
    other = await books.dataset()
    await books.upload(other, "other.jsonl", ALPACA)
    async with running(books.consumer()):
        await books.fact(other, DatasetFileChecked)
        assert await books.facts(dataset_id, DatasetFileChecked) == []
        books.storage.path(name).write_bytes(content)
        await books.fact(dataset_id, DatasetFileChecked)


async def test_a_file_that_is_taken_back_is_not_looked_at_any_longer(books: Shelf) -> None:
    dataset_id = await books.dataset()
    upload_id = await books.upload(dataset_id, "train.txt", "text")
    waits = Waits()
    async with running(books.consumer(waits)):
        await waits.begun.wait()
        await books.dispatch(AbortUpload(dataset_id=dataset_id, upload_id=upload_id), origin())
        async with asyncio.timeout(BOUND):
            while waits.at_work:  # noqa: ASYNC110 - another task is waited for
                await asyncio.sleep(0.02)
        waits.let_on.set()
        other = await books.dataset()
        await books.upload(other, "other.txt", "text")
        await books.fact(other, DatasetFileChecked)
    assert await books.facts(dataset_id, DatasetFileChecked) == []


async def test_uploads_go_after_their_time(books: Shelf) -> None:
    dataset_id = await books.dataset(retention_days=30)
    unlimited = await books.dataset()
    upload_id = await books.upload(dataset_id, "old.txt", "old")
    await books.upload(unlimited, "kept.txt", "kept")
    async with running(books.consumer(now=lambda: now() + timedelta(days=29, hours=23))):
        await books.fact(unlimited, DatasetFileChecked)
    assert await books.facts(dataset_id, DatasetFilesExpired) == []
    async with running(books.consumer(now=lambda: now() + timedelta(days=31))):
        expired = await books.fact(dataset_id, DatasetFilesExpired)
    assert (expired.upload_ids, expired.retention_days) == ((upload_id,), 30)
    assert (await books.state(dataset_id)).status == "created"
    assert len(await books.facts(dataset_id, DatasetFilesExpired)) == 1


async def test_a_time_that_is_set_later_counts_and_one_that_is_taken_back_does_not(books: Shelf) -> None:
    dataset_ids = [await books.dataset() for _ in range(2)]
    for dataset_id in dataset_ids:
        await books.upload(dataset_id, "old.txt", "old")
        await books.dispatch(SetDatasetRetention(dataset_id=dataset_id, retention_days=1), origin())
    await books.dispatch(SetDatasetRetention(dataset_id=dataset_ids[1], retention_days=None), origin())
    async with running(books.consumer(now=lambda: now() + timedelta(days=2))):
        await books.fact(dataset_ids[0], DatasetFilesExpired)
        await books.fact(dataset_ids[1], DatasetFileChecked)
    assert await books.facts(dataset_ids[1], DatasetFilesExpired) == []
    assert len(await books.facts(dataset_ids[1], DatasetRetentionSet)) == 2


async def test_a_verdict_that_comes_too_late_is_none(books: Shelf) -> None:
    dataset_id = await books.dataset()
    upload_id = await books.upload(dataset_id, "train.txt", "text")
    waits = Waits()
    examination = asyncio.create_task(
        Examination(books.log, books.dispatch, books.storage, waits)(dataset_id, upload_id)
    )
    await waits.begun.wait()
    await books.dispatch(DeleteDataset(dataset_id=dataset_id), origin())
    waits.let_on.set()
    await examination
    assert await books.facts(dataset_id, DatasetFileChecked) == []
    assert len(await books.facts(dataset_id, DatasetDeleted)) == 1


def test_a_checkpoint_that_cannot_be_read_costs_time_only(tmp_path: Path) -> None:
    file = tmp_path / "datasets.json"
    assert read_checkpoint(file, Checkpoint) == Checkpoint()
    file.write_text('{"position": 7, "unchecked": [["x"')
    assert read_checkpoint(file, Checkpoint) == Checkpoint()
    written = Checkpoint(7, ((UUID(int=1), UUID(int=2)),), (UUID(int=3),))
    file.write_bytes(msgspec.json.encode(written))
    assert read_checkpoint(file, Checkpoint) == written
