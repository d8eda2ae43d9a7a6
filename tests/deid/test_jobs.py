"""De-identification jobs, from their request to the new version of the dataset."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts import subjects
from contracts.datasets import AbortUpload, DeleteDataset
from contracts.deid import JobProgress
from contracts.policies import UploadPolicy
from events.deid import (
    DeidentificationAssigned,
    DeidentificationCanceled,
    DeidentificationCompleted,
    DeidentificationFailed,
)
from events.event import Event
from events.log.streams import NODES
from services.deid import consumer
from services.deid.job import Job
from services.deid.workplace import Workplace
from services.runtime.nodes.heartbeats import Heartbeats
from tests.deid.ledger import BOUND, DeidLedger, deid_ledger, origin

PHONE = "13812345678"
LINES = "".join(json.dumps({"messages": f"号码 {PHONE}", "id": number}) + "\n" for number in range(50)).encode()


@pytest.fixture
async def book(nats_url: str, tmp_path: Path) -> AsyncIterator[DeidLedger]:
    async with deid_ledger(nats_url, tmp_path) as made:
        yield made


async def held_at_work(place: Workplace) -> None:
    """Returns once the engine works on a file, suspended, so that it will not be done."""
    async with asyncio.timeout(BOUND):
        while not place.engine.working:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.001)
    [process] = place.engine.working
    os.killpg(process.pid, signal.SIGSTOP)


async def test_a_job_makes_a_version_of_the_dataset(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES, notes_txt=f"打 {PHONE}\n".encode())
    async with book.service():
        job_id = await book.request(dataset_id, seed=7)
        completed = await book.fact(job_id, DeidentificationCompleted)
        await book.tidied()
    outputs = await book.outputs(dataset_id, job_id)
    assert outputs.keys() == {"train.jsonl", "notes.txt"}
    pseudo = outputs["notes.txt"].decode().split()[1]
    assert pseudo != PHONE
    assert len(pseudo) == len(PHONE)
    for number, line in enumerate(outputs["train.jsonl"].decode().splitlines()):
        assert json.loads(line) == {"messages": f"号码 {pseudo}", "id": number}
    dataset = await book.state(dataset_id)
    version = dataset.versions[-1]
    assert (version.number, version.deidentified, version.source) == (completed.output_version, True, 2)
    assert completed.records == 51
    assert completed.counts == {"NUMBER": 51}
    assert [type(fact) for fact in await book.facts(job_id)][1:] == [
        DeidentificationAssigned,
        DeidentificationCompleted,
    ]
    assert PHONE.encode() not in b"".join(msgspec.json.encode(fact) for fact in await book.facts(job_id))


async def test_the_same_seed_gives_the_same_bytes_and_another_others(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    made = []
    async with book.service():
        for seed in (7, 7, 8, None, None):
            job_id = await book.request(dataset_id, seed=seed)
            await book.fact(job_id, DeidentificationCompleted)
            made.append((await book.outputs(dataset_id, job_id))["train.jsonl"])
    assert made[0] == made[1]
    assert len(set(made)) == 4


async def test_a_policy_of_the_secret_gives_the_same_in_every_job(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    made = []
    async with book.service():
        for _ in range(2):
            job_id = await book.request(dataset_id, "zh-pii")
            await book.fact(job_id, DeidentificationCompleted)
            made.append((await book.outputs(dataset_id, job_id))["train.jsonl"])
    assert made[0] == made[1] != LINES


async def test_a_line_that_cannot_be_read_is_named_and_not_shown(book: DeidLedger) -> None:
    secret = "13866668888"
    dataset_id = await book.dataset(good_jsonl=LINES, bad_jsonl=LINES + f'{{"phone": "{secret}"\n'.encode())
    before = book.stored()
    async with book.service():
        job_id = await book.request(dataset_id)
        failed = await book.fact(job_id, DeidentificationFailed)
        await book.tidied()
    assert (failed.cause, failed.file, failed.line) == ("input", "bad.jsonl", 51)
    assert secret not in str(failed)
    assert book.stored() == before
    assert not any(version.deidentified for version in (await book.state(dataset_id)).versions)


async def test_data_as_raw_as_before_makes_no_version(book: DeidLedger) -> None:
    kept = "{id: kept, version: '1', types: {DATE: {}, NUMBER: {action: keep}}}"
    await book.dispatch(UploadPolicy(policy_id="kept", content=kept), origin())
    numbers = await book.dataset(train_jsonl=LINES)
    dates = await book.dataset(train_jsonl=LINES + b'"2024-03-05"\n')
    clean = await book.dataset(train_jsonl=b'{"messages": "none", "id": 1234567}\n')
    async with book.service():
        of_numbers = await book.fact(await book.request(numbers, "kept"), DeidentificationFailed)
        of_fields = await book.fact(await book.request(clean, fields=("messages",)), DeidentificationFailed)
        await book.fact(await book.request(dates, "kept"), DeidentificationCompleted)
        await book.fact(await book.request(clean, "en-pii"), DeidentificationCompleted)
        nothing = await book.dataset(train_jsonl=b'{"messages": "none"}\n')
        job_id = await book.request(nothing, "kept")
        await book.fact(job_id, DeidentificationCompleted)
        await book.tidied()
    assert (of_numbers.cause, of_fields.cause) == ("policy", "input")
    assert (await book.outputs(nothing, job_id))["train.jsonl"] == b'{"messages": "none"}\n'
    assert not any(version.deidentified for version in (await book.state(numbers)).versions)


async def test_a_file_that_is_not_what_was_recorded_is_not_taken(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    [name] = book.stored()
    book.storage.path(name).write_bytes(LINES + b"{}\n")
    async with book.service():
        failed = await book.fact(await book.request(dataset_id), DeidentificationFailed)
    assert failed.cause == "storage"
    assert book.stored() == {name}


async def test_a_job_at_work_tells_how_far_it_is_and_can_be_canceled(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    before = book.stored()
    async with book.service() as place:
        job_id = await book.request(dataset_id)
        await held_at_work(place)
        reply = await book.nc.request(subjects.deid_progress(job_id), b"", timeout=BOUND)
        assert msgspec.json.decode(reply.data, type=JobProgress).bytes_total == len(LINES)
        await book.cancel(job_id)
        await book.fact(job_id, DeidentificationCanceled)
        await book.tidied()
    assert book.stored() == before


async def test_a_job_that_waits_is_canceled_at_once(book: DeidLedger) -> None:
    busy, idle = await book.dataset(train_jsonl=LINES), await book.dataset(train_jsonl=LINES)
    async with book.service() as place:
        first = await book.request(busy)
        await held_at_work(place)
        second = await book.request(idle)
        await book.cancel(second)
        await book.fact(second, DeidentificationCanceled)
        await book.cancel(first)
        await book.fact(first, DeidentificationCanceled)
        third = await book.request(idle)
        await book.fact(third, DeidentificationCompleted)
    assert [type(fact) for fact in await book.facts(second)][1:] == [DeidentificationCanceled]


async def test_a_service_that_stops_leaves_its_job_to_the_next(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    async with book.service() as place:
        job_id = await book.request(dataset_id, seed=7)
        await held_at_work(place)
    assert [type(fact) for fact in await book.facts(job_id)][1:] == [DeidentificationAssigned]
    async with book.service():
        await book.fact(job_id, DeidentificationCompleted)
    assert len(await book.outputs(dataset_id, job_id)) == 1


async def test_a_job_of_another_storage_is_left_alone(book: DeidLedger, tmp_path: Path) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    [name] = book.stored()
    here = book.storage.path(name)
    away = here.rename(tmp_path / "away")
    await Heartbeats(book.nc).put_deid("another")
    async with book.service():
        job_id = await book.request(dataset_id)
        other = await book.dataset(train_jsonl=LINES)
        await book.fact(await book.request(other), DeidentificationCompleted)
        assert len(await book.facts(job_id)) == 1
        away.rename(here)
        await book.fact(job_id, DeidentificationCompleted)


async def test_a_file_that_no_service_can_have_is_lost(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    [name] = book.stored()
    book.storage.path(name).unlink()
    await book.nc.jetstream().purge_stream(f"KV_{NODES}", subject=f"$KV.{NODES}.deid.>")
    async with book.service():
        failed = await book.fact(await book.request(dataset_id), DeidentificationFailed)
    assert (failed.cause, failed.reason) == ("storage", "存储中没有该文件")


async def test_an_upload_that_was_taken_back_meanwhile_makes_no_version(book: DeidLedger) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    before = book.stored()
    async with book.service() as place:
        job_id = await book.request(dataset_id)
        await held_at_work(place)
        [process] = place.engine.working
        [file] = (await book.state(dataset_id)).files
        await book.dispatch(AbortUpload(dataset_id=dataset_id, upload_id=file.upload_id), origin())
        os.killpg(process.pid, signal.SIGCONT)
        failed = await book.fact(job_id, DeidentificationFailed)
        await book.tidied()
    assert (failed.cause, failed.file) == ("dataset", "train.jsonl")
    assert book.stored() == before


async def test_a_job_that_fails_as_nobody_foresaw_ends(book: DeidLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ValueError(PHONE)

    dataset_id = await book.dataset(train_jsonl=LINES)
    before = book.stored()
    monkeypatch.setattr(consumer, "_FIRST_PAUSE", 0.0)
    async with book.service() as place:
        monkeypatch.setattr(place.engine, "answers", broken)
        failed = await book.fact(await book.request(dataset_id), DeidentificationFailed)
        await book.tidied()
    assert failed.cause == "internal"
    assert PHONE not in str(failed)
    assert book.stored() == before


async def test_a_file_of_which_nothing_can_be_read_makes_no_version(book: DeidLedger) -> None:
    lenient = "{id: lenient, version: '1', bad_lines: quarantine, types: {NUMBER: {}}}"
    await book.dispatch(UploadPolicy(policy_id="lenient", content=lenient), origin())
    nothing = await book.dataset(good_jsonl=LINES, bad_jsonl=b"no JSON\n" * 3)
    some = await book.dataset(train_jsonl=b"no JSON\n" + LINES)
    async with book.service():
        for fields in (None, ("messages",)):
            failed = await book.fact(await book.request(nothing, "lenient", fields=fields), DeidentificationFailed)
            assert (failed.cause, failed.file, failed.line) == ("input", "bad.jsonl", 1)
        await book.fact(await book.request(some, "lenient"), DeidentificationCompleted)
        await book.tidied()


async def test_a_job_tells_how_far_it_is_until_its_end_is_on_record(
    book: DeidLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[JobProgress] = []
    derive = Job._version

    async def version(self: Job, *given: Any) -> int:
        reply = await book.nc.request(subjects.deid_progress(job_id), b"", timeout=BOUND)
        told.append(msgspec.json.decode(reply.data, type=JobProgress))
        return await derive(self, *given)

    monkeypatch.setattr(Job, "_version", version)
    dataset_id = await book.dataset(train_jsonl=LINES)
    async with book.service():
        job_id = await book.request(dataset_id)
        await book.fact(job_id, DeidentificationCompleted)
    assert [progress.share for progress in told] == [1.0]


@pytest.mark.parametrize("gone", [False, True])
async def test_a_dataset_that_was_deleted_meanwhile_gets_nothing(book: DeidLedger, *, gone: bool) -> None:
    """Also where its bytes are gone already."""
    dataset_id = await book.dataset(train_jsonl=LINES)
    before = book.stored()
    async with book.service() as place:
        job_id = await book.request(dataset_id)
        await held_at_work(place)
        [process] = place.engine.working
        await book.dispatch(DeleteDataset(dataset_id=dataset_id), origin())
        if gone:
            for name in before:
                book.storage.path(name).unlink()
        os.killpg(process.pid, signal.SIGCONT)
        failed = await book.fact(job_id, DeidentificationFailed)
        await book.tidied()
    assert failed.cause == "dataset"
    assert book.stored() == (set() if gone else before)


async def test_two_services_do_a_job_once(book: DeidLedger, nats_url: str, tmp_path: Path) -> None:
    dataset_id = await book.dataset(train_jsonl=LINES)
    (tmp_path / "other").mkdir()
    async with deid_ledger(nats_url, tmp_path / "other", book) as other, book.service(), other.service():
        for _ in range(3):
            job_id = await book.request(dataset_id)
            await book.fact(job_id, DeidentificationCompleted)
            kinds: list[type[Event]] = [type(fact) for fact in await book.facts(job_id)]
            assert kinds.count(DeidentificationAssigned) == kinds.count(DeidentificationCompleted) == 1
            assert len(await book.outputs(dataset_id, job_id)) == 1
