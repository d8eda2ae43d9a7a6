"""Files arrive whole or not at all, and what an ended process left goes, nothing else."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.problems import Refused
from events.datasets import DatasetCreated, DatasetFact, DatasetFile, DatasetFileAdded
from events.event import Origin
from events.log import Change
from events.log.memory import MemoryLog
from services.runtime.storage import Storage, Unsafe, check_file_name, stored_name
from services.runtime.storage.resumable import Resumable
from services.runtime.storage.sweeping import sweep

DATASET = UUID("00000000-0000-4000-8000-000000000003")
_NOW = datetime(2024, 4, 12, 8, 55, tzinfo=UTC)
ORIGIN = Origin(actor="service:test", command_id=uuid4())


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    made = Storage(tmp_path / "storage")
    made.prepare()
    yield made
    made.close()


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def everything(storage: Storage) -> list[str]:
    return sorted(path.name for folder in (storage.files, storage.incoming) for path in folder.iterdir())


def aged(storage: Storage, seconds: float) -> None:
    """As if that long had gone by since anything was touched."""
    for entry in storage.incoming.iterdir():
        os.utime(entry, (entry.stat().st_atime, entry.stat().st_mtime - seconds))


async def test_a_file_is_hashed_and_lies_under_its_name(storage: Storage) -> None:
    pieces = [bytes([number]) * 700_000 for number in range(5)]
    arrived = await storage.receive(chunks(*pieces), 10_000_000)
    whole = b"".join(pieces)
    assert (arrived.size, arrived.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    await arrived.place(DATASET, "name.bin")
    await arrived.settle()
    assert storage.path("name.bin").read_bytes() == whole
    assert everything(storage) == ["name.bin"]


def test_what_was_uploaded_is_for_its_owner_only(tmp_path: Path) -> None:
    Storage(tmp_path / "made").prepare()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    (tmp_path / "there").mkdir(0o750)
    Storage(tmp_path / "there").prepare()  # as whoever made it wants it
    assert stat.S_IMODE((tmp_path / "there").stat().st_mode) == 0o750


async def test_the_disk_has_each_part_while_the_next_arrives(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[int, int, bool]] = []

    def advise(descriptor: int, offset: int, length: int, advice: int) -> None:
        begun.append((offset, offset + length, os.fstat(descriptor).st_size >= offset + length))
        assert advice == os.POSIX_FADV_DONTNEED

    monkeypatch.setattr(os, "posix_fadvise", advise)
    resumable = Resumable(storage, 3600)
    resumable.prepare()
    upload = (await resumable.create(uuid4(), DATASET, "name.bin", 16_000_000)).described.upload_id
    for offset in (0, 8_000_000):
        await resumable.append(upload, offset, chunks(*[bytes(500_000)] * 16))
    assert len(begun) > 4
    assert [start for start, _, _ in begun] == [0, *(end for _, end, _ in begun[:-1])]
    assert begun[-1][1] == 16_000_000
    assert all(written for _, _, written in begun)


@pytest.mark.parametrize("way", ["at once", "in pieces"])
async def test_nobody_writes_to_a_finished_file(storage: Storage, way: str) -> None:
    if way == "at once":
        arrived = await storage.receive(chunks(b"data"), 10)
    else:
        resumable = Resumable(storage, 3600)
        resumable.prepare()
        upload = (await resumable.create(uuid4(), DATASET, "name", 4)).described.upload_id
        await resumable.append(upload, 0, chunks(b"data"))
        _, arrived = await resumable.complete(upload)
    await arrived.place(DATASET, "name")
    await arrived.settle()
    assert stat.S_IMODE(storage.path("name").stat().st_mode) == 0o444


async def test_what_was_not_written_to_its_end_goes(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process that was killed as it wrote a description, and of one whose disk was full."""
    resumable = Resumable(storage, 3600)
    resumable.prepare()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(Refused):
            await resumable.create(uuid4(), DATASET, "name", 4)
    uploads = storage.root / "uploads"
    assert list(uploads.iterdir()) == []
    left = [uploads / f".{uuid4()}.json.123.new", storage.root / ".position.json.123.new", uploads / f"{uuid4()}.part"]
    for path in left:
        path.touch()
    await resumable.clean()
    assert all(path.exists() for path in left)  # somebody may be writing to them
    for path in left:
        os.utime(path, (0, 0))
    await resumable.clean()
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize(("pieces", "code"), [((b"12345", b"6"), "file_too_large"), ((), "file_empty")])
async def test_what_is_refused_leaves_nothing(storage: Storage, pieces: tuple[bytes, ...], code: str) -> None:
    with pytest.raises(Refused) as refused:
        await storage.receive(chunks(*pieces), 5)
    assert refused.value.code == code
    assert everything(storage) == []


async def test_a_sender_that_breaks_off_leaves_nothing(storage: Storage) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        raise ConnectionResetError

    with pytest.raises(Refused):
        await storage.receive(broken(), 10_000_000)
    for _ in range(20):
        receiving = asyncio.create_task(storage.receive(_endless(), 1 << 40))
        await asyncio.sleep(0)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        assert receiving.cancelled()
    assert everything(storage) == []


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65_536
        await asyncio.sleep(0)


async def test_a_file_made_here_is_adopted(storage: Storage, tmp_path: Path) -> None:
    made = tmp_path / "made.jsonl"
    made.write_bytes(b"{}\n")
    arrived = await asyncio.to_thread(storage.adopt, made)
    await arrived.place(DATASET, "made.jsonl")
    await arrived.settle()
    assert (arrived.size, arrived.sha256) == (3, hashlib.sha256(b"{}\n").hexdigest())
    assert not made.exists()
    storage.remove("made.jsonl")
    storage.remove("made.jsonl")
    assert everything(storage) == []


async def test_a_sweep_leaves_alone_what_somebody_looks_after(storage: Storage) -> None:
    arrived = await storage.receive(chunks(b"data"), 10)
    await arrived.place(DATASET, "name")
    aged(storage, 1_000)
    assert await sweep(Storage(storage.root), MemoryLog())
    assert everything(storage) == [f"{DATASET}.name", "name"]
    await arrived.discard()
    assert everything(storage) == []


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("placed", [True, False])
async def test_a_sweep_keeps_what_a_fact_names(storage: Storage, placed: bool, recorded: bool) -> None:
    """As after a kill before and after the file was placed, and before and after its fact was stored."""
    upload_id = uuid4()
    name = stored_name(upload_id, "train.jsonl")
    arrived = await storage.receive(chunks(b"data"), 10)
    if placed:
        await arrived.place(DATASET, name)
    log = MemoryLog()
    file = DatasetFile(
        upload_id=upload_id, name="train.jsonl", stored_name=name, bytes=4, sha256=arrived.sha256, uploaded_at=_NOW
    )
    facts = (DatasetCreated(name="d"), DatasetFileAdded(file=file, version=1, version_sha256="0" * 64))
    kept = facts if recorded and placed else facts[:1]
    await log.append(Change(context=DatasetFact.context, aggregate_id=DATASET, facts=kept), origin=ORIGIN)
    os.close(arrived._descriptor)  # as the kernel does when a process is killed
    assert not await sweep(storage, log)  # too young to say
    assert len(everything(storage)) == 1 + placed
    aged(storage, 3)
    assert await sweep(storage, log)
    assert everything(storage) == ([name] if recorded and placed else [])


async def test_what_the_log_was_silent_about_is_looked_at_later(storage: Storage) -> None:
    arrived = await storage.receive(chunks(b"data"), 10)
    await arrived.place(DATASET, "name")
    await arrived.doubt()
    aged(storage, 60)
    assert not await sweep(storage, MemoryLog())
    assert "name" in everything(storage)
    aged(storage, 60)
    assert await sweep(storage, MemoryLog())
    assert everything(storage) == []


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_refused_file_takes_no_other_with_it(storage: Storage, recorded: bool) -> None:
    """A file of the same name lies there: of a fact, or of a process that was killed before there was one."""
    upload_id = uuid4()
    name = stored_name(upload_id, "train.jsonl")
    first = await storage.receive(chunks(b"data"), 10)
    await first.place(DATASET, name)
    os.close(first._descriptor)  # as the kernel does when a process is killed
    log = MemoryLog()
    file = DatasetFile(
        upload_id=upload_id, name="train.jsonl", stored_name=name, bytes=4, sha256=first.sha256, uploaded_at=_NOW
    )
    facts: tuple[DatasetFact, ...] = (DatasetCreated(name="d"),)
    if recorded:
        facts += (DatasetFileAdded(file=file, version=1, version_sha256="0" * 64),)
    await log.append(Change(context=DatasetFact.context, aggregate_id=DATASET, facts=facts), origin=ORIGIN)
    again = await storage.receive(chunks(b"other"), 10)
    await again.place(DATASET, name)
    await again.discard()
    assert storage.path(name).read_bytes() == b"data"
    aged(storage, 1_000)
    assert await sweep(storage, log)
    assert everything(storage) == ([name] if recorded else [])


@given(st.text(max_size=300), st.uuids())
def test_no_name_leaves_the_store(name: str, upload_id: UUID) -> None:
    stored = stored_name(upload_id, name.encode(errors="replace").decode())
    root = Path("/storage")
    path = Storage(root).path(stored)
    assert path.parent == root / "files"
    assert os.path.normpath(path) == str(path)
    assert stored.startswith(f"{upload_id}_")
    assert len(stored.encode()) <= 37 + 120
    assert stored.isprintable()


def test_what_it_ends_with_is_kept() -> None:
    upload_id = uuid4()
    assert stored_name(upload_id, "训练 数据.jsonl") == f"{upload_id}_训练_数据.jsonl"
    assert stored_name(upload_id, "数" * 200 + ".jsonl").endswith("数.jsonl")
    assert stored_name(upload_id, "../../etc/passwd") == f"{upload_id}_.._.._etc_passwd"


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "a\\b", "..", ".", "a\nb", "a\0b", "\u202etxt.exe", "\ud800", "a" * 256, "a" * 10_000]
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        check_file_name(name)
    assert refused.value.code == "file_name_invalid"
    assert refused.value.text("zh") != refused.value.text("en")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\0b"])
def test_only_stored_names_are_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unsafe):
        Storage(tmp_path).path(name)
