"""What was uploaded is placed where the training command sees it, whole, verified, and once for each content."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from contracts.files import FileAnswer
from contracts.problems import Refused
from events.runs import (
    Run,
    RunArtifactRecorded,
    RunCanceled,
    RunCompleted,
    RunLaunchFailed,
    StoredConfig,
    StoredDataset,
)
from services.runtime.children import LaunchFailed
from services.runtime.nodes.files import Piece
from services.training import inputs as placing
from services.training.consumer import Consumer
from services.training.inputs import Inputs, remove_drafts
from tests.training.ledger import Ledger, until

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example"
RUN = UUID(int=3)
DATA = b'{"instruction": "a", "output": "b"}\n'


class Store:
    """Holds one file; `lies` is what it gives instead of a part of it."""

    def __init__(self, content: bytes, lies: bytes | None = None) -> None:
        self.content = content
        self.lies = lies
        self.asked = 0
        self.held: asyncio.Event | None = None

    async def piece(self, stored_name: str, offset: int, length: int) -> Piece:
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        if not stored_name:
            return Piece(FileAnswer(status="missing"), b"")
        content = self.content if self.lies is None else self.lies
        return Piece(FileAnswer(status="ok", size=len(content)), content[offset : offset + min(length, 10)])


class Away:
    async def piece(self, stored_name: str, offset: int, length: int) -> Piece:
        raise Refused("storage_unreachable")


def dataset(content: bytes = DATA, stored_name: str = "1_train.jsonl") -> StoredDataset:
    sha256 = hashlib.sha256(content).hexdigest()
    return StoredDataset(
        dataset_id=UUID(int=7),
        version=2,
        name="dataset:7@2/train.jsonl",
        stored_name=stored_name,
        size=len(content),
        sha256=sha256,
        path=f"datasets/.trainledger/{sha256}.jsonl",
    )


def config(content: bytes) -> StoredConfig:
    sha256 = hashlib.sha256(content).hexdigest()
    return StoredConfig(
        version=3,
        name="train-config:3",
        filename="finetune.yaml",
        stored_name="2_finetune.yaml",
        size=len(content),
        sha256=sha256,
        path=f"configs/.trainledger/{sha256}.yaml",
    )


def copies(directory: Path) -> list[str]:
    """All but what says who uses them, drafts included."""
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock" and path.suffix != ".use")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "training").mkdir()
    return tmp_path / "training"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir(exist_ok=True)
    return tmp_path / "files"


async def test_a_copy_of_the_stored_file_is_placed(root: Path, files: Path) -> None:
    file = dataset()
    (files / file.stored_name).write_bytes(DATA)
    store = Store(b"")
    await Inputs(root, files, store).place(RUN, Run(stored_dataset=file))
    placed = root / file.path
    assert placed.read_bytes() == DATA
    assert placed.stat().st_ino != (files / file.stored_name).stat().st_ino, "a training could change the upload"
    assert store.asked == 0
    assert copies(placed.parent) == [placed.name]


async def test_what_lies_elsewhere_is_fetched_in_pieces(root: Path, files: Path) -> None:
    file, store = dataset(), Store(DATA)
    inputs = Inputs(root, files, store)
    await asyncio.gather(*(inputs.place(RUN, Run(stored_dataset=file)) for _ in range(5)))
    assert (root / file.path).read_bytes() == DATA
    assert store.asked == -(-len(DATA) // 10), "runs of the same content fetched it again"


async def test_what_a_training_wrote_into_is_placed_anew(root: Path, files: Path) -> None:
    file, inputs = dataset(), Inputs(root, files, Store(DATA))
    await inputs.place(RUN, Run(stored_dataset=file))
    (root / file.path).write_bytes(DATA.replace(b"a", b"c"))
    await inputs.place(RUN, Run(stored_dataset=file))
    assert (root / file.path).read_bytes() == DATA


@pytest.mark.parametrize("lies", [DATA.replace(b"a", b"c"), DATA + b"more", b""])
async def test_another_content_is_never_placed(root: Path, files: Path, lies: bytes) -> None:
    file = dataset()
    with pytest.raises(LaunchFailed, match="不符"):
        await Inputs(root, files, Store(DATA, lies)).place(RUN, Run(stored_dataset=file))
    assert copies((root / file.path).parent) == []


async def test_a_stored_file_that_was_changed_is_not_placed(root: Path, files: Path) -> None:
    file = dataset()
    (files / file.stored_name).write_bytes(DATA.replace(b"a", b"c"))
    with pytest.raises(LaunchFailed, match="SHA-256"):
        await Inputs(root, files, Store(DATA)).place(RUN, Run(stored_dataset=file))
    assert copies((root / file.path).parent) == []


async def test_a_file_that_is_gone_and_a_store_that_is_away(
    root: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "_PAUSE", 0.0)
    missing = msgspec.structs.replace(dataset(), stored_name="")
    with pytest.raises(LaunchFailed, match="可能已被删除"):
        await Inputs(root, files / "elsewhere", Store(DATA)).place(RUN, Run(stored_dataset=missing))
    with pytest.raises(LaunchFailed, match="没有应答"):
        await Inputs(root, files, Away()).place(RUN, Run(stored_dataset=dataset()))


async def test_a_directory_that_leads_out_is_not_written_to(root: Path, files: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (root / "datasets").symlink_to(tmp_path / "outside")
    with pytest.raises(LaunchFailed, match="之外"):
        await Inputs(root, files, Store(DATA)).place(RUN, Run(stored_dataset=dataset()))
    assert not [path for path in (tmp_path / "outside").rglob("*") if path.is_file()]


async def test_a_link_in_its_place_is_replaced_and_not_followed(root: Path, files: Path) -> None:
    file = dataset()
    (root / file.path).parent.mkdir(parents=True)
    (root / "mine.jsonl").write_bytes(b"mine")
    (root / file.path).symlink_to(root / "mine.jsonl")
    await Inputs(root, files, Store(DATA)).place(RUN, Run(stored_dataset=file))
    assert (root / "mine.jsonl").read_bytes() == b"mine"
    assert (root / file.path).read_bytes() == DATA
    assert not (root / file.path).is_symlink()


async def test_unfinished_copies_go_at_the_next_start(root: Path) -> None:
    directory = root / "datasets" / ".trainledger"
    directory.mkdir(parents=True)
    (directory / ".abc.jsonl.77.new").touch()
    (directory / "abc.jsonl").touch()
    remove_drafts(root)
    assert [path.name for path in directory.iterdir()] == ["abc.jsonl"]


async def test_the_example_trains_on_what_was_uploaded(book: Ledger, files: Path) -> None:
    """A real child, by the placed YAML, on the placed file."""
    shutil.copytree(EXAMPLE, book.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("output", "__pycache__"))
    records = [{"instruction": f"问 {number}", "output": "答"} for number in range(4)]
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    yaml = (
        (EXAMPLE / "configs" / "qwen_demo.yaml")
        .read_bytes()
        .replace(b"num_train_epochs: 5.0", b"num_train_epochs: 1.0")
    )
    uploaded, by = dataset(content), config(yaml)
    (files / uploaded.stored_name).write_bytes(content)
    (files / by.stored_name).write_bytes(yaml)
    node = msgspec.structs.replace(book.node(), inputs=Inputs(book.root, files, Away()))
    consumer = asyncio.create_task(Consumer(node, book.checkpoint).run())
    try:
        run_id = await book.request(
            "bash", "run_train_full_sft.sh", by.path, yaml=by.name, stored_dataset=uploaded, stored_config=by
        )
        await book.fact(run_id, RunCompleted)
    finally:
        consumer.cancel()
        await asyncio.wait([consumer])
    lines = [line.message for line in await book.lines(run_id)]
    assert "  Num examples = 4" in lines
    artifacts = [fact for fact in await book.facts(run_id) if isinstance(fact, RunArtifactRecorded)]
    kept = {fact.type: fact for fact in artifacts if fact.type.startswith("config")}
    assert kept["config_original"].sha256 == by.sha256
    assert kept["config"].name == "finetune.yaml"


async def test_a_placement_that_fails_is_a_launch_that_failed(book: Ledger, files: Path) -> None:
    node = msgspec.structs.replace(book.node(), inputs=Inputs(book.root, files, Store(DATA, b"other")))
    consumer = asyncio.create_task(Consumer(node, book.checkpoint).run())
    try:
        run_id = await book.request("touch", "started", stored_dataset=dataset())
        failed = await book.fact(run_id, RunLaunchFailed)
    finally:
        consumer.cancel()
        await asyncio.wait([consumer])
    assert "不符" in failed.reason
    assert not (book.root / "started").exists()


async def test_a_run_is_canceled_while_its_data_is_fetched(book: Ledger, files: Path) -> None:
    store = Store(DATA)
    store.held = asyncio.Event()
    node = msgspec.structs.replace(book.node(), inputs=Inputs(book.root, files, store))
    consumer = asyncio.create_task(Consumer(node, book.checkpoint).run())
    try:
        run_id = await book.request("touch", "started", stored_dataset=dataset())
        await until(lambda: store.asked > 0)
        await book.request_cancel(run_id)
        await book.fact(run_id, RunCanceled)
    finally:
        consumer.cancel()
        await asyncio.wait([consumer])
    assert not (book.root / "started").exists()
