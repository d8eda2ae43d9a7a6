"""Copies of uploaded files go with the last run that uses them, and nothing else goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from events.event import Event, Origin, Recorded
from events.log import Change
from events.log.memory import MemoryLog
from events.runs import Run, RunCanceled, RunCompleted, RunFact, RunRequested
from services.training.clearing import Clearing, clear
from services.training.consumer import Consumer
from services.training.inputs import Inputs
from tests.training.ledger import Ledger, until
from tests.training.test_inputs import DATA, Away, Store, config, copies, dataset

FILE = dataset()
REQUESTED = RunRequested(project_id=UUID(int=1), node="box", dataset="d", training_yaml="y", argv=("true",))


class Log(MemoryLog):
    """`held`: readers wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.held: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.reads = 0

    async def read(self, context: str, aggregate_id: UUID, after: int = 0) -> list[Recorded]:
        found = await super().read(context, aggregate_id, after)
        self.reads += 1
        self.asked.set()
        if self.held is not None:
            await self.held.wait()
        return found

    async def record(self, run_id: UUID, *facts: Event) -> None:
        known = await MemoryLog.read(self, RunFact.context, run_id)
        change = Change(
            context=RunFact.context,
            aggregate_id=run_id,
            facts=facts,
            expected=known[-1].meta.position if known else 0,
            version=len(known),
        )
        await self.append(change, origin=Origin(actor="service:test", command_id=uuid4()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "training").mkdir()
    return tmp_path / "training"


async def placed(root: Path, log: Log) -> UUID:
    """A live run that uses the file."""
    run_id = uuid4()
    await log.record(run_id, REQUESTED)
    await Inputs(root, root / "no store", Store(DATA)).place(run_id, Run(stored_dataset=FILE))
    return run_id


async def test_a_copy_goes_with_the_last_run_that_uses_it(root: Path) -> None:
    log = Log()
    first, second = await placed(root, log), await placed(root, log)
    await log.record(first, RunCanceled(attempt=0))
    await clear(root, log)
    assert (root / FILE.path).read_bytes() == DATA
    await log.record(second, RunCanceled(attempt=0))
    await clear(root, log)
    assert [path.name for path in (root / FILE.path).parent.iterdir()] == [".lock"]


async def test_a_run_that_begins_meanwhile_keeps_the_copy(root: Path) -> None:
    log = Log()
    await log.record(await placed(root, log), RunCanceled(attempt=0))
    log.held = asyncio.Event()
    log.asked.clear()
    clearing = asyncio.create_task(clear(root, log))
    await log.asked.wait()  # it knows all uses that there were
    begun = uuid4()
    await Inputs(root, root / "no store", Away()).place(begun, Run(stored_dataset=FILE))
    log.held.set()
    await clearing
    assert (root / FILE.path).read_bytes() == DATA


async def test_what_is_anothers_stays(root: Path, tmp_path: Path) -> None:
    """A copy of a run that another ledger may know, what users put there, and what a link leads to."""
    log = Log()
    await Inputs(root, root / "no store", Store(DATA)).place(uuid4(), Run(stored_dataset=FILE))
    directory = (root / FILE.path).parent
    (directory / "mine.jsonl").touch()
    outside = tmp_path / "outside"
    outside.mkdir()
    unused = outside / f"{'a' * 64}.yaml"
    unused.touch()
    (root / "configs").mkdir()
    (root / "configs" / ".trainledger").symlink_to(outside)
    await clear(root, log)
    assert copies(directory) == sorted([Path(FILE.path).name, "mine.jsonl"])
    assert unused.exists()


async def test_what_stays_for_a_run_that_is_not_known_is_told_once(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, unknown = Log(), uuid4()
    live = await placed(root, log)
    await Inputs(root, root / "no store", Store(DATA)).place(unknown, Run(stored_dataset=FILE))
    clearing = Clearing(root, log)

    async def looked() -> None:
        wanted = log.reads + 2
        clearing.run_ended()
        await until(lambda: log.reads >= wanted)

    task = asyncio.create_task(clearing.run())
    try:
        await until(lambda: bool(caplog.records))
        await looked()
        await looked()  # once the third look has begun, the second one has told all that it tells
    finally:
        task.cancel()
        await asyncio.wait([task])
    [record] = caplog.records
    assert str(unknown) in record.getMessage()
    assert str(live) not in record.getMessage()


async def test_what_no_run_uses_goes_at_the_start(root: Path) -> None:
    directory = root / "configs" / ".trainledger"
    directory.mkdir(parents=True)
    (directory / f"{'a' * 64}.yaml").touch()
    clearing = asyncio.create_task(Clearing(root, Log()).run())
    try:
        await until(lambda: not copies(directory))
    finally:
        clearing.cancel()
        await asyncio.wait([clearing])


async def test_the_copies_of_a_run_go_when_it_has_ended(book: Ledger) -> None:
    by = config(b"stage: sft\n")
    node = book.node()
    node = msgspec.structs.replace(
        node,
        inputs=Inputs(book.root, book.root / "no store", Store(b"stage: sft\n")),
        clearing=Clearing(book.root, book.log),
    )
    assert node.clearing is not None
    tasks = [asyncio.create_task(Consumer(node, book.checkpoint).run()), asyncio.create_task(node.clearing.run())]
    try:
        run_id = await book.request("cat", by.path, yaml=by.name, stored_config=by)
        await book.fact(run_id, RunCompleted)
        await until(lambda: not copies((book.root / by.path).parent))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert "stage: sft" in [line.message for line in await book.lines(run_id)]
