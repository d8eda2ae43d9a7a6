"""The example training, run by the service: with each executor the same lines, metrics and artifacts."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from events.runs import RunArtifactRecorded, RunCompleted
from services.training.consumer import Consumer
from services.training.executors import Executor
from services.training.executors.docker import DockerExecutor
from services.training.executors.local import LocalExecutor
from services.training.launching import withheld
from tests.training.docker_engine import DockerEngine
from tests.training.ledger import Ledger

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example"
YAML = "configs/short.yaml"


@pytest.fixture
def home(book: Ledger) -> Path:
    shutil.copytree(EXAMPLE, book.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("output", "__pycache__"))
    settings = yaml.safe_load((book.root / "configs" / "qwen_demo.yaml").read_text(encoding="utf-8"))
    settings |= {"max_steps": 6, "logging_steps": 2, "save_steps": 3, "per_device_train_batch_size": 1}
    (book.root / YAML).write_text(yaml.safe_dump(settings), encoding="utf-8")
    return book.root


async def trained(book: Ledger, executor: Executor) -> tuple[Sequence[tuple[object, ...]], list[str], list[str]]:
    """Metric points without times, lines without times, names of artifacts."""
    consumer = asyncio.create_task(Consumer(book.node({executor.name: executor}), book.checkpoint).run())
    try:
        run_id = await book.request("bash", "run_train_full_sft.sh", YAML, yaml=YAML)
        await book.fact(run_id, RunCompleted)
    finally:
        consumer.cancel()
        await asyncio.wait([consumer])
        await executor.close()
    batches = await book.batches(run_id)
    timeless = [point for batch in batches for point in batch.points if "runtime" not in point.name]
    points = [
        (point.source, point.name, point.value, point.step) for point in timeless if "per_second" not in point.name
    ]
    points.sort(key=lambda point: point[0])  # the order within a source is that of the training
    every = sorted((line for batch in batches for line in batch.lines), key=lambda line: (line.stream, line.offset))
    lines = [line.message.replace(str(run_id), "RUN") for line in every]
    artifacts = [fact for fact in await book.facts(run_id) if isinstance(fact, RunArtifactRecorded)]
    checkpoints = {Path(fact.path) for fact in artifacts if fact.type == "checkpoint"}
    output = book.root / "output" / "qwen_demo" / str(run_id)
    assert checkpoints == {output / "checkpoint-3", output / "checkpoint-6"}
    assert max(batch.progress or 0 for batch in batches) > 0.9
    timeless_lines = [line for line in lines if "runtime" not in line and "it/s" not in line]
    return points, timeless_lines, sorted(fact.name for fact in artifacts)


async def test_the_example_completes(book: Ledger, home: Path) -> None:
    points, lines, artifacts = await trained(book, LocalExecutor(home, withheld))
    for source in ("output", "trainer_log"):
        found = [(step, value) for said, name, value, step in points if (said, name) == (source, "train_loss")]
        assert [step for step, _ in found] == [2, 4, 6]
    assert lines
    assert [name for name in artifacts if name not in ("err.log", "order")] == [
        "checkpoint-3",
        "checkpoint-6",
        "exit.json",
        "out.log",
        "short.yaml",
        "short.yaml",
        "trainer_log.jsonl",
    ]


async def test_a_resumed_example_goes_on_with_the_steps(book: Ledger, home: Path) -> None:
    """From the middle: it trains the steps behind the checkpoint, and they come out as they did the first time."""
    executor = LocalExecutor(home, withheld)
    consumer = asyncio.create_task(Consumer(book.node({executor.name: executor}), book.checkpoint).run())
    try:
        first = await book.request("bash", "run_train_full_sft.sh", YAML, yaml=YAML)
        await book.fact(first, RunCompleted)
        recorded = [fact for fact in await book.facts(first) if isinstance(fact, RunArtifactRecorded)]
        middle = next(fact for fact in recorded if fact.name == "checkpoint-3")
        second = await book.request("bash", "run_train_full_sft.sh", YAML, yaml=YAML, resume_from=middle.path)
        await book.fact(second, RunCompleted)
    finally:
        consumer.cancel()
        await asyncio.wait([consumer])
    lines = [line.message for line in await book.lines(second)]
    assert f"Continuing from {Path(middle.path).relative_to(home)}, step 3 of 6" in lines
    losses = [await losses_of(book, run_id) for run_id in (first, second)]
    assert losses[1] == [point for point in losses[0] if point[0] > 3]
    paths = {fact.path for fact in await book.facts(second) if isinstance(fact, RunArtifactRecorded)}
    assert not paths & {fact.path for fact in recorded}


async def losses_of(book: Ledger, run_id: UUID) -> list[tuple[int, float | None]]:
    points = [point for batch in await book.batches(run_id) for point in batch.points]
    losses = [point for point in points if (point.name, point.source) == ("train_loss", "trainer_log")]
    return [(point.step or 0, point.value) for point in losses]


async def test_docker_and_local_give_the_same(book: Ledger, home: Path, engine: DockerEngine) -> None:
    box = engine.container(
        name="example", env={"TRAINLEDGER_PYTHON": sys.executable}, volumes=[(str(home), "/home/llm", "rw")],
        working_dir="/home",
    )  # fmt: skip
    with box:
        in_docker = await trained(book, DockerExecutor("example", "llm", engine.url))
    box.get_docker_client().client.close()
    assert in_docker == await trained(book, LocalExecutor(home, withheld))
