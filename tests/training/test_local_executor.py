"""The local executor, and what only it can get wrong."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.children import Ended, Lost, processes
from services.runtime.children.processes import Identity
from services.training.executors.local import LocalExecutor
from services.training.launching import withheld
from tests.training.executor_suite import Bench, ExecutorSuite


class HostBench(Bench):
    def kill(self, pids: list[str]) -> None:
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    workdir = tmp_path / "work"
    workdir.mkdir()
    return HostBench(lambda: LocalExecutor(workdir, withheld), workdir, tmp_path / "runs")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


class TestLocalExecutor(ExecutorSuite):
    pass


async def test_a_reused_pid_is_never_signalled(bench: Bench, stranger: subprocess.Popen[bytes]) -> None:
    place = await bench.launch("bash", "-c", "echo $$ $PPID > pids; exec sleep 600")
    command, wrapper = await bench.pids(2)
    bench.kill([wrapper, command])
    await bench.becomes(place, Lost)
    _, start, boot = (place.directory / "pid").read_text().split()
    (place.directory / "pid").write_text(f"{stranger.pid} {start} {boot}\n")
    assert isinstance(await bench.executor.look(place), Lost)
    assert await bench.executor.stop(place, 0.1) == ()
    assert stranger.poll() is None


async def test_what_a_power_cut_left_empty_is_nobody(bench: Bench) -> None:
    place = await bench.launch("bash", "-c", "echo $$ $PPID > pids; exec sleep 600")
    bench.kill(list(reversed(await bench.pids(2))))
    await bench.becomes(place, Lost)
    for name in ("pid", "started/wrapper", "refused"):
        (place.directory / name).write_text("")
    assert isinstance(await bench.executor.look(place), Lost)
    assert await bench.executor.stop(place, 0.1) == ()
    (place.directory / "exit").write_text("127 1700000000\n")
    assert await bench.executor.look(place) == Ended(127)


def test_an_identity_is_more_than_a_pid(stranger: subprocess.Popen[bytes]) -> None:
    start = int(Path(f"/proc/{stranger.pid}/stat").read_text().rpartition(")")[2].split()[19])
    real = Identity(stranger.pid, start, processes.boot_id())
    assert processes.alive(real)
    for other in (Identity(real.pid, start + 1, real.boot), Identity(real.pid, start, "another boot")):
        assert not processes.alive(other)
        assert not processes.send(other, signal.SIGKILL)
    assert stranger.poll() is None
    assert processes.send(real, signal.SIGKILL)
    stranger.wait()
    assert not processes.alive(real)
