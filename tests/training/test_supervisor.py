"""Runs from request to end, against a real log and real processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from contracts import subjects
from contracts.runs import AssignRun, ReportRunEnded
from events.event import Origin
from events.log.streams import TELEMETRY
from events.runs import (
    RunArtifactRecorded,
    RunAssigned,
    RunCanceled,
    RunCompleted,
    RunFailed,
    RunLaunchFailed,
    RunStarted,
)
from services.training.consumer import Consumer
from tests.training.ledger import BOUND, Ledger, origin, until


@asynccontextmanager
async def training_service(book: Ledger, grace: float = 0.5) -> AsyncIterator[Consumer]:
    consumer = Consumer(book.node(grace=grace), book.checkpoint)
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        task.cancel()
        async with asyncio.timeout(BOUND):
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def test_a_run_completes_with_every_line_and_its_artifacts(book: Ledger) -> None:
    (book.root / "run.yaml").write_text("output_dir: out\n")
    (book.root / "go.sh").write_text(
        "echo 你好; echo oops >&2; echo $TRAINLEDGER_RUN\n"
        'mkdir -p "$OUTPUT_DIR/checkpoint-7" "$OUTPUT_DIR/checkpoint-9"\n'
        'echo "{}" > "$OUTPUT_DIR/checkpoint-7/trainer_state.json"\n'
        'echo "{" > "$OUTPUT_DIR/checkpoint-9/trainer_state.json"\n'
        'cp "$TRAINLEDGER_CONFIG_FILE" used.yaml\n'
    )
    async with training_service(book):
        run_id = await book.request("bash", "go.sh", "run.yaml")
        completed = await book.fact(run_id, RunCompleted)
    kinds = [type(fact) for fact in await book.facts(run_id)]
    assert kinds[1:3] == [RunAssigned, RunStarted]
    assert kinds[-1] is RunCompleted
    lines = await book.lines(run_id)
    assert [line.message for line in lines if line.stream == "stdout"] == ["你好", f"{run_id}/1"]
    assert [(line.message, line.at) for line in lines if line.stream == "stderr"] == [("oops", 0)]
    raw = book.node().place(run_id, 1).output.read_bytes()
    assert (completed.stderr_bytes, completed.stderr_sha256) == (5, hashlib.sha256(b"oops\n").hexdigest())
    assert (completed.output_bytes, completed.output_sha256) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert completed.telemetry > 0
    artifacts = {fact.name: fact for fact in await book.facts(run_id) if isinstance(fact, RunArtifactRecorded)}
    assert set(artifacts) == {"run.yaml", "checkpoint-7", "out.log", "err.log", "order", "exit.json"}
    told = json.loads(await asyncio.to_thread(Path(artifacts["exit.json"].path).read_bytes))
    assert (told["run_id"], told["exit_code"], told["output_sha256"]) == (str(run_id), 0, artifacts["out.log"].sha256)
    configurations = {fact.type: fact for fact in await book.facts(run_id) if isinstance(fact, RunArtifactRecorded)}
    original = book.node().place(run_id, 1).directory / "original.yaml"
    assert (configurations["config_original"].path, original.read_text()) == (str(original), "output_dir: out\n")
    used = (book.root / "used.yaml").read_bytes()
    assert used.decode() == f'output_dir: "out/{run_id}"\n'
    assert configurations["config"].sha256 == hashlib.sha256(used).hexdigest()
    assert artifacts["checkpoint-7"].path == str(book.root / "out" / str(run_id) / "checkpoint-7")


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("bash", "missing.sh", "run.yaml"), "脚本不存在或不可读：missing.sh"),
        (("no-such-command",), "找不到命令：no-such-command"),
    ],
)
async def test_a_launch_that_cannot_be_says_why(book: Ledger, argv: tuple[str, ...], reason: str) -> None:
    async with training_service(book):
        run_id = await book.request(*argv)
        assert (await book.fact(run_id, RunLaunchFailed)).reason == reason


@pytest.mark.parametrize(("script", "code", "cause"), [("exit 3", 3, "exit"), ("kill -9 $$", 137, "signal")])
async def test_a_failure_has_its_code_and_cause(book: Ledger, script: str, code: int, cause: str) -> None:
    async with training_service(book):
        run_id = await book.request("bash", "-c", script)
        failed = await book.fact(run_id, RunFailed)
    assert (failed.exit_code, failed.cause) == (code, cause)


async def test_two_runs_do_not_share_output(book: Ledger) -> None:
    (book.root / "run.yaml").write_text("output_dir: out\n")
    script = 'mkdir -p $OUTPUT_DIR/checkpoint-1; echo "{}" > $OUTPUT_DIR/checkpoint-1/trainer_state.json'
    async with training_service(book):
        runs = [await book.request("bash", "-c", script) for _ in range(2)]
        for run_id in runs:
            await book.fact(run_id, RunCompleted)
    paths = [
        {fact.path for fact in await book.facts(run_id) if isinstance(fact, RunArtifactRecorded)} for run_id in runs
    ]
    assert not paths[0] & paths[1]


@pytest.mark.parametrize("absolute", [False, True])
async def test_whatever_a_run_is_it_leaves_what_another_wrote_alone(
    book: Ledger, tmp_path: Path, absolute: bool
) -> None:
    """Also a resumed one, one with a command of its own, and where the YAML names a directory elsewhere."""
    output = str(tmp_path / "elsewhere") if absolute else "out"
    (book.root / "run.yaml").write_text(f"output_dir: {output}\n")
    script = (
        "mkdir -p $OUTPUT_DIR/checkpoint-1; echo $TRAINLEDGER_RUN > $OUTPUT_DIR/checkpoint-1/weights\n"
        'echo "{}" > $OUTPUT_DIR/checkpoint-1/trainer_state.json'
    )
    async with training_service(book):
        first = await book.request("bash", "-c", script)
        await book.fact(first, RunCompleted)
        (checkpoint,) = await checkpoints(book, first)
        before = contents(checkpoint)
        others = [
            await book.request("bash", "-c", script, own_command=True),
            await book.request("bash", "-c", script, resume_from=checkpoint, resumes=first),
        ]
        for run_id in others:
            await book.fact(run_id, RunCompleted)
    assert contents(checkpoint) == before
    claimed = [path for run_id in (first, *others) for path in await checkpoints(book, run_id)]
    assert len(claimed) == len(set(claimed)) == 3
    assert Path(checkpoint).is_relative_to(tmp_path / "elsewhere" if absolute else book.root / "out")


def contents(directory: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(directory).rglob("*")}


async def checkpoints(book: Ledger, run_id: UUID) -> list[str]:
    facts = await book.facts(run_id)
    return [fact.path for fact in facts if isinstance(fact, RunArtifactRecorded) and fact.type == "checkpoint"]


async def test_a_script_that_cuts_its_own_stderr_holds_up_nothing(book: Ledger) -> None:
    script = "echo first >&2; until test -e seen; do sleep 0.01; done; echo b > /dev/stderr; echo c >&2; echo out"
    async with training_service(book):
        run_id = await book.request("bash", "-c", script)
        said = await book.js.subscribe(subjects.telemetry(run_id, 1), stream=TELEMETRY, ordered_consumer=True)
        await said.next_msg(BOUND)
        (book.root / "seen").touch()
        await book.fact(run_id, RunCompleted)
    assert {(line.stream, line.message) for line in await book.lines(run_id)} == {
        ("stderr", "first"),
        ("stderr", "b"),
        ("stderr", "c"),
        ("stdout", "out"),
    }


async def test_the_service_keeps_its_secrets(book: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NATS_URL", "TRAINING_DB_URL", "TRAINLEDGER_TOKEN"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("HF_HOME", "/kept")
    async with training_service(book):
        run_id = await book.request("env")
        await book.fact(run_id, RunCompleted)
    lines = {line.message for line in await book.lines(run_id)}
    assert not any("hunter2" in line for line in lines)
    assert {"HF_HOME=/kept", "LANG=C.UTF-8"} <= lines


async def test_a_new_service_finds_what_the_old_one_left(book: Ledger, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = f"echo first; until [ -e {gate} ]; do sleep 0.02; done; echo second; exit 4"
    async with training_service(book):
        run_id = await book.request("bash", "-c", script)
        await book.fact(run_id, RunStarted)
    gate.touch()
    async with training_service(book):
        assert (await book.fact(run_id, RunFailed)).exit_code == 4
    assert [line.message for line in await book.lines(run_id)] == ["first", "second"]
    assert [type(fact) for fact in await book.facts(run_id)].count(RunStarted) == 1


async def test_cancel_leaves_nothing_alive(book: Ledger, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    tree = f"trap '' TERM; echo $$ >> {pids}; setsid bash -c 'trap \"\" TERM; echo $$ >> {pids}; sleep 600' & sleep 600"
    async with training_service(book):
        run_id = await book.request("bash", "-c", tree)
        await book.fact(run_id, RunStarted)
        await until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        await book.request_cancel(run_id)
        await book.fact(run_id, RunCanceled)
    for pid in pids.read_text().split():
        assert not _alive(int(pid))


async def test_a_lost_process_fails_the_run(book: Ledger) -> None:
    async with training_service(book):
        run_id = await book.request("sleep", "600")
        await book.fact(run_id, RunStarted)
        directory = book.node().place(run_id, 1).directory
        for file in (directory / "started" / "wrapper", directory / "pid"):
            os.kill(int(file.read_text().split()[0]), 9)
        failed = await book.fact(run_id, RunFailed)
    assert (failed.cause, failed.exit_code) == ("lost", None)


async def test_a_run_whose_directory_was_taken_away_is_stopped_and_lost(book: Ledger) -> None:
    async with training_service(book):
        run_id = await book.request("bash", "-c", "echo said; exec sleep 600")
        await book.fact(run_id, RunStarted)
        place = book.node().place(run_id, 1)
        await until(lambda: place.output.exists() and place.output.read_bytes() == b"said\n")
        pid = command_pid(book, run_id)
        shutil.rmtree(place.directory)
        failed = await book.fact(run_id, RunFailed)
    assert (failed.cause, failed.exit_code) == ("lost", None)
    assert str(place.directory) in failed.reason
    assert not _alive(pid)


async def test_a_run_whose_directory_was_taken_away_meanwhile_is_stopped_and_lost(book: Ledger) -> None:
    async with training_service(book):
        run_id = await book.request("sleep", "600")
        await book.fact(run_id, RunStarted)
    pid = command_pid(book, run_id)
    shutil.rmtree(book.node().place(run_id, 1).directory)
    async with training_service(book):
        failed = await book.fact(run_id, RunFailed)
    assert (failed.cause, failed.exit_code) == ("lost", None)
    assert not _alive(pid)


@pytest.mark.parametrize("asked", ["before", "while"])
async def test_a_run_of_a_data_directory_that_is_gone_can_be_canceled(book: Ledger, asked: str) -> None:
    async with training_service(book):
        run_id = await book.request("sleep", "600")
        await book.fact(run_id, RunStarted)
    pid = command_pid(book, run_id)
    shutil.rmtree(book.node().runs)
    book.checkpoint.unlink()
    if asked == "before":
        await book.request_cancel(run_id)
    async with training_service(book):
        if asked == "while":
            later = await book.request("true")
            await book.fact(later, RunCompleted)
            assert _alive(pid)
            await book.request_cancel(run_id)
        await book.fact(run_id, RunCanceled)
    assert not _alive(pid)


async def test_another_service_of_the_same_name_does_not_launch(book: Ledger, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = Ledger(book.nc, tmp_path / "elsewhere", book.name)
    other.root = book.root
    async with training_service(book), training_service(other):
        run_ids = [await book.request("bash", "-c", "echo $TRAINLEDGER_RUN >> launches") for _ in range(5)]
        for run_id in run_ids:
            await book.fact(run_id, RunCompleted)
    assert sorted((book.root / "launches").read_text().split()) == sorted(f"{run_id}/1" for run_id in run_ids)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def declare_lost(book: Ledger, run_id: UUID) -> None:
    await book.dispatch(ReportRunEnded(run_id=run_id, attempt=1, exit_code=None, cause="lost"), origin())


def command_pid(book: Ledger, run_id: UUID) -> int:
    return int((book.node().place(run_id, 1).directory / "pid").read_text().split()[0])


async def test_a_run_that_somebody_declared_lost_is_stopped(book: Ledger) -> None:
    async with training_service(book):
        run_id = await book.request("sleep", "600")
        await book.fact(run_id, RunStarted)
        await declare_lost(book, run_id)
        await until(lambda: not _alive(command_pid(book, run_id)))


async def test_a_node_that_comes_back_stops_what_was_declared_lost(book: Ledger) -> None:
    async with training_service(book):
        run_id = await book.request("sleep", "600")
        await book.fact(run_id, RunStarted)
    await declare_lost(book, run_id)
    assert _alive(command_pid(book, run_id))
    async with training_service(book):
        await until(lambda: not _alive(command_pid(book, run_id)))
    assert [type(fact) for fact in await book.facts(run_id)].count(RunFailed) == 1


async def test_a_service_knows_its_runs_under_another_node_name(book: Ledger, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with training_service(book):
        run_id = await book.request("bash", "-c", f"until [ -e {gate} ]; do sleep 0.02; done")
        await book.fact(run_id, RunStarted)
    gate.touch()
    book.name = "renamed"
    async with training_service(book):
        await book.fact(run_id, RunCompleted)


async def test_a_checkpoint_that_is_lost_or_broken_costs_nothing(book: Ledger) -> None:
    async with training_service(book):
        first = await book.request("bash", "-c", "echo x >> launches")
        await book.fact(first, RunCompleted)
    for content in (None, b"{"):
        book.checkpoint.unlink() if content is None else book.checkpoint.write_bytes(content)
        async with training_service(book):
            again = await book.request("bash", "-c", "true")
            await book.fact(again, RunCompleted)
    assert (book.root / "launches").read_text() == "x\n"


async def test_a_canceled_run_that_was_never_launched_never_is(book: Ledger) -> None:
    run_id = await book.request("bash", "-c", "touch launched")
    command_id = uuid4()
    place = book.node().place(run_id, 1)
    place.directory.mkdir(parents=True)
    (place.directory / "assignment").write_text(str(command_id))  # as if killed right after the assignment
    assign = AssignRun(run_id=run_id, attempt=1, node=book.name, executor="local")
    await book.dispatch(assign, Origin(actor="service:training", command_id=command_id))
    await book.request_cancel(run_id)
    async with training_service(book):
        canceled = await book.fact(run_id, RunCanceled)
    assert canceled.exit_code is None
    assert not (book.root / "launched").exists()
