"""What is printed is published once, whatever happens to an acknowledgement."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import nats.errors
import nats.js.errors
import pytest

from contracts import subjects
from contracts.telemetry import Ends, TelemetryBatch
from events.log.streams import TELEMETRY
from services.training.merging import Files
from services.training.output import Output
from services.training.telemetry import Committed, Encoded, Moved, Publisher
from tests.training.ledger import Ledger


class Unlucky:
    """JetStream whose next acknowledgement is lost on the way, after the message was stored."""

    def __init__(self, js: Any) -> None:
        self._js = js
        self.losses = 0

    async def publish(self, *arguments: Any, **options: Any) -> Any:
        ack = await self._js.publish(*arguments, **options)
        if self.losses:
            self.losses -= 1
            raise nats.errors.TimeoutError
        return ack

    async def get_last_msg(self, stream: str, subject: str) -> Any:
        return await self._js.get_last_msg(stream, subject)


@pytest.fixture
def run_id() -> UUID:
    return uuid4()


def files(stdout: Path) -> Files:
    return Files(stdout, stdout.with_name("err.log"), stdout.with_name("order"))


def batch(run_id: UUID, start: int, end: int) -> Encoded:
    payload = msgspec.json.encode(TelemetryBatch(run_id=run_id, attempt=1, start=start, end=end))
    return Encoded(Ends(stdout=end), None, None, payload)


async def test_a_lost_acknowledgement_doubles_nothing(book: Ledger, run_id: UUID, tmp_path: Path) -> None:
    js = Unlucky(book.js)
    publisher = Publisher(js, run_id, 1, tmp_path / "note")  # type: ignore[arg-type]
    assert await publisher.recover() == Committed()
    for start in range(0, 30, 10):
        js.losses = 1
        await publisher.publish(batch(run_id, start, start + 10))
    assert [(entry.start, entry.end) for entry in await book.batches(run_id)] == [(0, 10), (10, 20), (20, 30)]


async def test_a_second_publisher_moves_the_first(book: Ledger, run_id: UUID, tmp_path: Path) -> None:
    publishers = [Publisher(book.js, run_id, 1, tmp_path / name) for name in "ab"]
    for publisher in publishers:
        await publisher.recover()
    await publishers[0].publish(batch(run_id, 0, 10))
    with pytest.raises(Moved):
        await publishers[1].publish(batch(run_id, 0, 25))
    assert (await publishers[1].recover()).end == 10
    assert len(await book.batches(run_id)) == 1


async def test_what_the_stream_forgot_the_note_still_knows(book: Ledger, run_id: UUID, tmp_path: Path) -> None:
    publisher = Publisher(book.js, run_id, 1, tmp_path / "note")
    await publisher.recover()
    await publisher.publish(batch(run_id, 0, 10))
    await publisher.write_note()
    await book.js.purge_stream(TELEMETRY, subject=subjects.telemetry(run_id, 1))
    again = Publisher(book.js, run_id, 1, tmp_path / "note")
    assert (await again.recover()).end == 10
    await again.publish(batch(run_id, 10, 20))
    assert [entry.start for entry in await book.batches(run_id)] == [10]


@pytest.mark.parametrize(
    "raw",
    [
        b"a\n" * 40_000,
        b"\x00\x01\n" * 30_000,
        "行".encode() * 300_000 + b"\nlast without end",
        b"{'loss': 1.5, 'epoch': 0.1}\n" * 12_000,
        b"\xff\xfe" * 200_000,
        b"",
    ],
    ids=["tiny lines", "control characters", "a long line", "metrics", "invalid UTF-8", "nothing"],
)
async def test_every_byte_is_covered_by_batches_of_a_bounded_size(
    book: Ledger, run_id: UUID, tmp_path: Path, raw: bytes
) -> None:
    path = tmp_path / "out.log"
    path.write_bytes(raw)
    output = Output(Publisher(book.js, run_id, 1, tmp_path / "note"), files(path), run_id, 1)
    output.finish()
    async with asyncio.timeout(60):
        await output.follow()
    if not raw:
        return
    batches = await book.batches(run_id)
    assert [entry.start for entry in batches] == [0, *(entry.end for entry in batches[:-1])]
    assert batches[-1].end == len(raw)
    assert max(len(entry.lines) + len(entry.points) for entry in batches) <= 5_000
    assert max(len(msgspec.json.encode(entry)) for entry in batches) < 1024 * 1024
    offsets = [line.offset for entry in batches for line in entry.lines]
    assert offsets == sorted(set(offsets))


async def test_a_line_arrives_soon_after_it_was_written(book: Ledger, run_id: UUID, tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    publisher = Publisher(book.js, run_id, 1, tmp_path / "note")
    output = Output(publisher, files(path), run_id, 1)
    following = asyncio.create_task(output.follow())
    waits = []
    with path.open("ab", buffering=0) as file:
        for number in range(10):
            file.write(b"line\n")
            written = asyncio.get_running_loop().time()
            while publisher.committed.end < 5 * (number + 1):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            waits.append(asyncio.get_running_loop().time() - written)
            await asyncio.sleep(0.05)
    output.finish()
    await following
    assert sorted(waits)[len(waits) // 2] < 0.5


class Simultaneous:
    """JetStream whose answer comes together with the cancellation of who asked, which nats-py then drops."""

    async def get_last_msg(self, stream: str, subject: str) -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise nats.js.errors.NotFoundError from None


async def test_a_cancellation_that_comes_with_an_answer_counts(run_id: UUID, tmp_path: Path) -> None:
    publisher = Publisher(Simultaneous(), run_id, 1, tmp_path / "note")  # type: ignore[arg-type]
    recovering = asyncio.create_task(publisher.recover())
    await asyncio.wait([recovering])
    assert recovering.cancelled()
