"""The docker executor against a real engine, with the run's directory mounted into the container and without."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from events.runs import RunCanceled, RunCompleted, RunLaunchFailed, RunStarted
from services.runtime.children import Ended, LaunchFailed, Lost, Running, Unreachable
from services.training.consumer import Consumer
from services.training.executors import Place
from services.training.executors.docker import DockerExecutor
from services.training.node import Node
from tests.training.docker_engine import DockerEngine
from tests.training.executor_suite import TREE, Bench, ExecutorSuite, alive
from tests.training.ledger import Ledger

# Sockets that the test's own Docker client, which is not the product's, leaves open.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Box:
    """A container whose own working directory is `/home`; `/home/llm` is the host's `training`."""

    def __init__(
        self,
        engine: DockerEngine,
        directory: Path,
        *,
        mounted: bool,
        volumes: Iterable[tuple[str, str, str]] = (),
        **options: Any,
    ) -> None:
        self.training = directory / "training"
        self.training.mkdir(exist_ok=True)
        self.runs = directory / "runs"
        self.runs.mkdir(exist_ok=True)
        volumes = [(str(self.training), "/home/llm", "rw"), *volumes]
        if mounted:
            volumes.append((str(self.runs), "/ledger/runs", "rw"))
        self.name = f"box-{uuid4().hex[:12]}"
        self.container: Any = engine.container(name=self.name, working_dir="/home", volumes=volumes, **options)

    def exec(self, *command: str) -> str:
        output: bytes = self.container.get_wrapped_container().exec_run(command).output
        return output.decode()


@contextmanager
def running(box: Box) -> Iterator[Box]:
    try:
        with box.container:
            yield box
    finally:
        box.container.get_docker_client().client.close()


class BoxBench(Bench):
    def __init__(self, make: Callable[[], DockerExecutor], box: Box, workdir: Path) -> None:
        super().__init__(make, workdir, box.runs)
        self.box = box

    def alive(self, pid: str) -> bool:
        return alive(lambda: self.box.exec("bash", "-c", f"cat /proc/{pid}/stat 2> /dev/null") or "gone) Z")

    def kill(self, pids: list[str]) -> None:
        self.box.exec("bash", "-c", f"kill -KILL {' '.join(pids)}")


@pytest.fixture(scope="module", params=[True, False], ids=["mounted", "not mounted"])
def box(
    engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Box]:
    with running(Box(engine, tmp_path_factory.mktemp("box"), mounted=request.param)) as made:
        yield made


@pytest.fixture
async def bench(engine: DockerEngine, box: Box) -> AsyncIterator[BoxBench]:
    workdir = box.training / uuid4().hex[:8]
    workdir.mkdir()
    made: list[DockerExecutor] = []

    def make() -> DockerExecutor:
        made.append(DockerExecutor(box.name, f"llm/{workdir.name}", engine.url))
        return made[-1]

    yield BoxBench(make, box, workdir)
    for executor in made:
        await executor.close()


class TestDockerExecutor(ExecutorSuite):
    async def test_a_working_directory_that_is_gone_says_so(  # type: ignore[override]
        self, bench: BoxBench, engine: DockerEngine
    ) -> None:
        bench.executor = DockerExecutor(bench.box.name, "elsewhere", engine.url)
        try:
            place = await bench.launch("true")
            state = await bench.becomes(place, Ended, Lost)
            assert isinstance(state, Ended)
            assert state.refused is not None
            assert (state.exit_code, state.refused.zh) == (127, "工作目录不存在或无法进入：elsewhere")
        finally:
            await bench.executor.close()


async def test_output_arrives_whole(bench: BoxBench) -> None:
    script = 'for i in {1..20000}; do echo "$i 行 $RANDOM"; done | tee copy'
    place = await bench.launch("bash", "-c", script)
    assert await bench.becomes(place, Ended, Lost) == Ended(0)
    copy = (bench.workdir / "copy").read_bytes()
    assert hashlib.sha256(place.output.read_bytes()).digest() == hashlib.sha256(copy).digest()


async def test_the_trainers_log_comes_out_of_a_container_that_shares_nothing(
    engine: DockerEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(Box(engine, tmp_path, mounted=False)) as box:
        executor = DockerExecutor(box.name, "llm", engine.url, root=tmp_path / "not mounted")
        bench = BoxBench(lambda: executor, box, box.training)
        script = (
            'mkdir -p "$OUTPUT_DIR"; for i in 1 2 3; do echo "{$i}" >> "$OUTPUT_DIR/trainer_log.jsonl"; sleep 0.3; done'
        )
        place = await bench.launch("bash", "-c", script, OUTPUT_DIR="out/run")
        assert await bench.becomes(place, Ended, Lost) == Ended(0)
        assert place.trainer_log.read_text() == "{1}\n{2}\n{3}\n"
        assert "cannot be found as its artifacts" in caplog.text
        await executor.close()


async def test_a_restarted_container_loses_its_run(bench: BoxBench) -> None:
    place = await bench.launch("bash", "-c", "echo said; exec sleep 600")
    await bench.becomes(place, Running)
    await asyncio.to_thread(bench.box.container.get_wrapped_container().restart, timeout=0)
    assert isinstance(await bench.becomes(place, Ended, Lost), Lost)
    assert place.output.read_text() == "said\n"
    assert await bench.executor.stop(place, 0.1) == ()


async def test_a_paused_container_keeps_its_run(bench: BoxBench) -> None:
    """As `docker commit` pauses it: everything in it is alive, and goes on."""
    place = await bench.launch("bash", "-c", "echo $$ > pids; until [ -e gate ]; do sleep 0.02; done; exit 4")
    [pid] = await bench.pids(1)
    await bench.becomes(place, Running)
    container = bench.box.container.get_wrapped_container()
    await asyncio.to_thread(container.pause)
    try:
        (bench.workdir / "gate").touch()
        bench.executor = bench.make()  # this one has to ask the engine anew
        assert not isinstance(await bench.executor.look(place), Ended | Lost)
        with pytest.raises(Unreachable, match="paused"):
            await bench.executor.stop(place, 0.1)
    finally:
        await asyncio.to_thread(container.unpause)
    assert await bench.becomes(place, Ended, Lost) == Ended(4)
    assert not bench.alive(pid)


async def test_a_run_survives_the_engine(bench: BoxBench, engine: DockerEngine) -> None:
    place = await bench.launch("bash", "-c", "until [ -e gate ]; do sleep 0.02; done; exit 6")
    await bench.becomes(place, Running)
    await asyncio.to_thread(engine.kill)
    assert isinstance(await bench.executor.look(place), Running)
    (bench.workdir / "gate").touch()
    await asyncio.to_thread(engine.start)
    assert await bench.becomes(place, Ended, Lost) == Ended(6)


async def test_who_was_killed_for_memory_is_told_from_who_was_killed(engine: DockerEngine, tmp_path: Path) -> None:
    with running(Box(engine, tmp_path, mounted=False, mem_limit="48m")) as box:
        executor = DockerExecutor(box.name, "llm", engine.url)
        bench = BoxBench(lambda: executor, box, box.training)
        greedy = await bench.launch("bash", "-c", "head -c 200m /dev/zero | tail; exit ${PIPESTATUS[1]}")
        assert await bench.becomes(greedy, Ended, Lost) == Ended(137, out_of_memory=True)
        killed = await bench.launch("bash", "-c", "kill -KILL $$")
        assert await bench.becomes(killed, Ended, Lost) == Ended(137)
        await executor.close()


async def test_where_nothing_can_run_the_reason_is_said(engine: DockerEngine, tmp_path: Path) -> None:
    place = Place(uuid4(), 1, tmp_path / "run")
    stopped = Box(engine, tmp_path, mounted=False)
    with running(stopped):
        stopped.container.get_wrapped_container().stop(timeout=0)
        for name, url, reason, english in (
            ("no-such-box", engine.url, "容器 no-such-box 不存在", "there is no container no-such-box"),
            (stopped.name, engine.url, f"容器 {stopped.name} 未在运行（exited）", "does not run (exited)"),
            ("box", f"unix://{tmp_path}/none.sock", "无法连接 Docker 引擎", "the Docker engine does not answer"),
        ):
            executor = DockerExecutor(name, "llm", url)
            with pytest.raises(LaunchFailed, match=reason):
                await executor.launch(place, ("true",), {})
            assert english in (await executor.unusable() or "")
            await executor.close()


async def test_a_container_without_bash_says_so(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "bash").write_bytes(b"")
    bare = Box(engine, tmp_path, mounted=False, volumes=[(str(tmp_path / "bash"), "/usr/bin/bash", "ro")])
    with running(bare):
        executor = DockerExecutor(bare.name, "llm", engine.url)
        with pytest.raises(LaunchFailed, match="没有 bash"):
            await executor.launch(Place(uuid4(), 1, tmp_path / "run"), ("true",), {})
        await executor.close()


async def test_a_run_in_a_container_from_request_to_end(book: Ledger, bench: BoxBench) -> None:
    """Every line once, and cancel leaves nothing."""
    node: Node = book.node({"docker": bench.executor})
    task = asyncio.create_task(Consumer(node, book.checkpoint).run())
    try:
        printing = await book.request("bash", "-c", "for i in {1..20000}; do echo $i 行; done")
        await book.fact(printing, RunCompleted)
        await book.check_every_line_once(printing)
        stubborn = await book.request("bash", "-c", TREE)
        await book.fact(stubborn, RunStarted)
        pids = await bench.pids(3)
        await book.request_cancel(stubborn)
        await book.fact(stubborn, RunCanceled)
        assert not any(bench.alive(pid) for pid in pids)
        missing = await book.request("bash", "missing.sh")
        assert (await book.fact(missing, RunLaunchFailed)).reason == "脚本不存在或不可读：missing.sh"
    finally:
        task.cancel()
        await asyncio.wait([task])
