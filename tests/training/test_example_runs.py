"""The example training, run by the service: with each executor the same lines, metrics and artifacts."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

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


async def trained(book: Ledger, executor: Executor) -> tuple[list[tuple[object, ...]], list[str], list[str]]:
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
    points = [(point.name, point.value, point.step) for point in timeless if "per_second" not in point.name]
    lines = [line.message.replace(str(run_id), "RUN") for batch in batches for line in batch.lines]
    artifacts = [fact for fact in await book.facts(run_id) if isinstance(fact, RunArtifactRecorded)]
    checkpoints = {Path(fact.path) for fact in artifacts if fact.type == "checkpoint"}
    output = book.root / "output" / "qwen_demo" / str(run_id)
    assert checkpoints == {output / "checkpoint-3", output / "checkpoint-6"}
    assert max(batch.progress or 0 for batch in batches) > 0.9
    timeless_lines = [line for line in lines if "runtime" not in line and "it/s" not in line]
    return points, timeless_lines, sorted(fact.name for fact in artifacts)


async def test_the_example_completes(book: Ledger, home: Path) -> None:
    points, lines, artifacts = await trained(book, LocalExecutor(home, withheld))
    assert [step for name, _, step in points if name == "train_loss"] == [2, 4, 6]
    assert lines
    assert artifacts == ["checkpoint-3", "checkpoint-6", "out.log", "short.yaml"]


async def test_docker_and_local_give_the_same(book: Ledger, home: Path, engine: DockerEngine) -> None:
    box = engine.container(
        name="example", env={"TRAINLEDGER_PYTHON": sys.executable}, volumes=[(str(home), "/work/llm", "rw")],
        working_dir="/work",
    )  # fmt: skip
    with box:
        in_docker = await trained(book, DockerExecutor("example", "llm", engine.url))
    box.get_docker_client().client.close()
    assert in_docker == await trained(book, LocalExecutor(home, withheld))
