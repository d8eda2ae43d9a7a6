"""The process that holds the engine: what it was at ends with whoever asked, and its errors tell nothing of a text."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from contracts.problems import Refused
from services.runtime.deid.policies import built_in
from services.runtime.deidentifying.asking import Deidentifying
from services.runtime.deidentifying.asks import DeidentifyFile, DeidentifyTexts, FileFailed, PolicyToUse, TextsDone
from services.runtime.deidentifying.storage_reasons import storage_reason
from services.runtime.deidentifying.worker import _without_values

BOUND = 60.0
USE = PolicyToUse(policy=built_in()["default"], secret=b"0" * 32, seed=7)


def texts(*given: str) -> DeidentifyTexts:
    return DeidentifyTexts(policy=USE, texts=given, locale="zh-CN", format="text", mapping=False)


@pytest.fixture
async def engine() -> AsyncIterator[Deidentifying]:
    made = Deidentifying(patience=BOUND)
    yield made
    await made.stop()


async def test_what_is_at_work_dies_when_whoever_asked_is_gone(engine: Deidentifying, tmp_path: Path) -> None:
    source = tmp_path / "never.jsonl"
    os.mkfifo(source)  # nobody will write to it
    ask = DeidentifyFile(
        policy=USE, source=str(source), target=str(tmp_path / "out"), fields=None, format="jsonl", processes=1
    )
    asking = asyncio.create_task(engine.ask(ask))
    async with asyncio.timeout(BOUND):
        while not engine.working:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)
        [process] = engine.working
        writer = await asyncio.to_thread(source.open, "wb")  # it has opened the other end
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == -signal.SIGKILL
    writer.close()
    with pytest.raises(Refused):
        await asking


async def test_an_idle_process_goes_and_the_next_question_starts_another(tmp_path: Path) -> None:
    engine = Deidentifying(patience=BOUND, idle=0.05)
    assert isinstance(await engine.ask(texts("1")), TextsDone)
    [process] = engine.waiting
    async with asyncio.timeout(BOUND):
        assert await process.wait() == 0
    assert engine.waiting == []
    assert isinstance(await engine.ask(texts("1")), TextsDone)
    await engine.stop()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_process_that_died_while_it_waited_is_replaced(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def asked_around_a_death() -> None:
        engine = Deidentifying(patience=BOUND)
        await engine.ask(texts("1"))
        [process] = engine.waiting
        process.kill()
        await process.wait()
        assert isinstance(await engine.ask(texts("1")), TextsDone)
        [process] = engine.waiting
        process.kill()  # the loop has not heard of it
        with suppress(Refused):
            await engine.ask(texts("1"))
        assert isinstance(await engine.ask(texts("1")), TextsDone)
        await engine.stop()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asked_around_a_death())


async def test_a_question_that_is_given_up_ends_its_process(engine: Deidentifying, tmp_path: Path) -> None:
    await engine.ask(texts("1"))
    [process] = engine.waiting
    os.killpg(process.pid, signal.SIGSTOP)
    asking = asyncio.create_task(engine.ask(texts("2")))
    async with asyncio.timeout(BOUND):
        while not engine.working:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await process.wait() == -signal.SIGKILL
    assert isinstance(await engine.ask(texts("1")), TextsDone)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOENT, errno.EMLINK])
def test_why_the_storage_fails_is_told_in_one_language(number: int) -> None:
    zh, en = storage_reason(OSError(number, os.strerror(number)))
    assert os.strerror(number) not in zh
    assert en.isascii()


async def test_a_file_that_is_not_there_is_the_storage_s(engine: Deidentifying, tmp_path: Path) -> None:
    ask = DeidentifyFile(
        policy=USE,
        source=str(tmp_path / "gone.jsonl"),
        target=str(tmp_path / "out"),
        fields=None,
        format="jsonl",
        processes=1,
    )
    failed = FileFailed(cause="storage", zh="存储中没有该文件", en="the storage has no such file", line=None)
    assert await engine.ask(ask) == failed


def test_an_error_is_told_without_what_it_holds() -> None:
    nothing: dict[str, str] = {}
    with pytest.raises(KeyError) as caught:
        nothing["13812345678"]
    told = _without_values(caught.value)
    assert told.startswith("KeyError at test_worker.py:")
    assert "13812345678" not in told


def test_what_crosses_the_pipe_shows_nothing_of_itself() -> None:
    assert "13812345678" not in repr(texts("13812345678"))
    assert "0000" not in repr(USE)
