"""The processes that look into files: what befalls them is their own, and none outlives its service."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from asyncio.base_subprocess import BaseSubprocessTransport
from pathlib import Path

import pytest

from services.datasets.checker import Bounds, Checker, FileUnreadable
from services.datasets.checking.limits import MIB

BOUND = 60.0
ROOT = Path(__file__).resolve().parents[2]
CHILD = "services.datasets.checking.child"


def pids() -> dict[int, int]:
    """Of all checks, with those of their parents."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and CHILD in (entry / "cmdline").read_text().split("\0"):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def children(parent: int) -> list[int]:
    return [pid for pid, its_parent in pids().items() if its_parent == parent]


def not_waited_for() -> list[BaseSubprocessTransport]:
    found = [one for one in gc.get_objects() if isinstance(one, BaseSubprocessTransport)]
    return [transport for transport in found if transport.get_returncode() is None]


async def child(of: int, but: int = 0) -> int:
    async with asyncio.timeout(BOUND):
        while not (found := [pid for pid in children(of) if pid != but]):  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(0.01)
    return found[0]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A file whose reader waits for ever."""
    made = tmp_path / "pipe"
    os.mkfifo(made)
    return made


async def test_a_child_that_dies_is_tried_once_more(pipe: Path) -> None:
    check = asyncio.create_task(Checker()(pipe, "data.jsonl"))
    first = await child(os.getpid())
    os.kill(first, signal.SIGKILL)
    os.kill(await child(os.getpid(), but=first), signal.SIGKILL)
    found = await check
    assert (found.verdict, found.reason) == ("invalid", "check_crashed")
    assert children(os.getpid()) == []


async def test_a_check_that_is_cancelled_leaves_no_process(pipe: Path) -> None:
    check = asyncio.create_task(Checker()(pipe, "data.jsonl"))
    await child(os.getpid())
    check.cancel()
    await asyncio.wait([check])
    assert check.cancelled()
    assert children(os.getpid()) == []


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.002, 0.003, 0.005, 0.01, 1.0])
async def test_a_check_that_is_cancelled_again_and_again_waits_for_its_process(pipe: Path, seconds: float) -> None:
    """At whatever step it is; else the loop may be closed first, with what it has of the process."""
    check = asyncio.create_task(Checker()(pipe, "data.jsonl"))
    await asyncio.sleep(seconds)
    while not check.done():
        check.cancel()
        await asyncio.sleep(0)
    assert check.cancelled()
    assert not not_waited_for()


async def test_a_child_ends_with_the_service_that_was_killed(pipe: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from services.datasets.checker import Checker;"
        f"asyncio.run(Checker()(Path({str(pipe)!r}), 'data.jsonl'))"
    )
    service = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT)
    pid = await child(service.pid)
    service.kill()
    await service.wait()
    async with asyncio.timeout(BOUND):
        while pid in pids():  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(0.01)


async def test_one_that_takes_too_long_on_the_processor_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "many"
    file.write_bytes(b'{"a":1}\n' * 4_000_000)
    found = await Checker(Bounds(seconds=0, bytes_per_second=1 << 40))(file, "data.jsonl")
    assert (found.verdict, found.reason) == ("invalid", "too_slow")


async def test_one_that_takes_too_long_on_the_clock_is_ended(pipe: Path) -> None:
    found = await Checker(Bounds(seconds=0, patience=0.5))(pipe, "data.jsonl")
    assert (found.verdict, found.reason) == ("invalid", "too_slow")
    assert children(os.getpid()) == []


async def test_a_record_that_unpacks_to_too_much_ends_in_its_own_process(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b'{"a":[' + b"[]," * (8 * MIB) + b"1]}\n")
    found = await Checker(Bounds(memory=100 * MIB))(file, "data.jsonl")
    assert found.reason in ("too_much_memory", "check_crashed")


async def test_a_file_that_is_not_there_has_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable):
        await Checker()(tmp_path / "missing", "data.jsonl")
    (tmp_path / "directory").mkdir()
    with pytest.raises(FileUnreadable):
        await Checker()(tmp_path / "directory", "data.jsonl")


@pytest.mark.parametrize("name", ["data.jsonl", "data.json"])
async def test_a_large_file_is_not_kept_in_memory(tmp_path: Path, name: str) -> None:
    file = tmp_path / "large"
    record = b'{"instruction":"' + b"x" * 500 + b'","output":"y"}'
    before, between, after = (b"[{},", b",", b"{}]") if name == "data.json" else (b"", b"\n", b"")
    with file.open("wb") as large:
        large.write(before)
        for _ in range(50):
            large.write((record + between) * 2_000)
        large.write(after)
    memory = 40 * MIB
    assert file.stat().st_size > memory
    found = await Checker(Bounds(memory=memory))(file, name)
    assert (found.verdict, found.records) == ("valid", 100_000 + 2 * bool(before))
