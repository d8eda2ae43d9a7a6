"""Each process by itself, as on several machines: a NATS server that somebody else runs, one database."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import nats
import pytest

from tests.nats_server import NatsServer
from tests.platform.serving import ROOT, Serving, until

PARTS = ("edge", "training", "projector")
PROJECT = {
    "name": "qwen-finetune",
    "owner": "alice",
    "dataset_name": "datasets/qwen_demo.jsonl",
    "training_yaml_name": "configs/qwen_demo.yaml",
}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[NatsServer]:
    (tmp_path / "nats").mkdir()
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_says_what_the_server_lacks(serving: Serving, plain: NatsServer, part: str) -> None:
    refused = serving.command(part, NATS_URL=plain.url, HOST_TRAINING_DIR=str(ROOT / "deploy/example"))
    assert refused.returncode == 78
    assert refused.stderr.count("\n") == 1, refused.stderr
    assert "trainledger prepare" in refused.stderr


def test_parts_work_on_a_server_of_ones_own(serving: Serving, plain: NatsServer, tmp_path: Path) -> None:
    training = tmp_path / "training"
    training.mkdir()
    for name in ("datasets/qwen_demo.jsonl", "configs/qwen_demo.yaml"):
        (training / name).parent.mkdir()
        (training / name).touch()
    (training / "run_train_full_sft.sh").write_text("echo trained\n")
    settings = serving.environment(
        NATS_URL=plain.url,
        HOST_TRAINING_DIR=str(training),
        TRAINING_DB_URL=f"sqlite:///{tmp_path}/shared.db",
        TRAINLEDGER_PORT=str(serving.port),
    )
    prepared = serving.command("prepare", NATS_URL=plain.url)
    assert (prepared.returncode, prepared.stdout) == (0, f"The streams of TrainLedger are there at {plain.url}.\n")
    with ExitStack() as stack:
        parts: list[subprocess.Popen[bytes]] = []
        for part in PARTS:
            output = stack.enter_context((tmp_path / f"{part}.txt").open("wb"))
            arguments = serving.arguments(part)
            parts.append(subprocess.Popen(arguments, cwd=tmp_path, env=settings, stdout=output, stderr=output))
            stack.callback(parts[-1].wait, 30)
            stack.callback(parts[-1].kill)
        until(serving.ready, "readiness")
        assert serving.post("/projects", PROJECT)[0] == 201
        run = until(lambda: started(serving), "the training part")
        path = f"/projects/qwen-finetune/runs/{run['id']}"
        ended = until(lambda: one if (one := serving.get(path)[1])["status"] == "completed" else None, "its end")
        assert "trained" in [line["message"] for line in ended["logs"]]
        for process in parts:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(60) for process in parts] == [0, 0, 0]


def test_a_training_part_has_the_example_where_there_is_nothing_else(
    serving: Serving, plain: NatsServer, tmp_path: Path
) -> None:
    assert serving.command("prepare", NATS_URL=plain.url).returncode == 0
    with (tmp_path / "training.txt").open("wb") as output:
        settings = serving.environment(NATS_URL=plain.url)
        part = subprocess.Popen(serving.arguments("training"), cwd=tmp_path, env=settings, stdout=output, stderr=output)
        try:
            until((serving.data / "training" / "run_train_full_sft.sh").is_file, "a copy of the example")
        finally:
            part.terminate()
            assert part.wait(60) == 0


def started(serving: Serving) -> dict[str, object] | None:
    """The run, once the node is known to own the training directory."""
    try:
        status, run = serving.post("/projects/qwen-finetune/runs")
    except OSError:  # urllib's HTTPError, too
        return None
    return dict(run) if status == 201 else None


def test_a_server_without_jetstream_is_one_sentence(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    server = NatsServer(tmp_path / "nats")
    config = tmp_path / "nats" / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{server.port}"\n')
    server.start()
    try:
        refused = serving.command("serve", "--port", str(serving.port), NATS_URL=server.url)
    finally:
        server.stop()
    assert refused.returncode == 78
    assert refused.stderr.count("\n") == 1, refused.stderr
    assert "has no JetStream" in refused.stderr


def test_a_user_who_is_added_while_nothing_runs_may_command_after_the_start(serving: Serving) -> None:
    assert serving.command("nats-user", "add", "early").returncode == 0
    serving.start()
    until(serving.ready, "readiness")
    assert "accepted" in asked(serving, "early")
    serving.stop()
    assert serving.command("nats-user", "add", "early", "--role", "reader").returncode == 0
    serving.start()
    until(serving.ready, "readiness")
    assert "forbidden" in asked(serving, "early")


def asked(serving: Serving, user: str) -> str:
    async def ask() -> str:
        seed = serving.data / "nats" / "credentials" / f"{user}.nk"
        url = f"nats://127.0.0.1:{serving.nats_port}"
        client = await nats.connect(url, nkeys_seed=str(seed), inbox_prefix=f"_INBOX_{user}".encode())
        try:
            body = b'{"name": "asked", "owner": "a", "dataset_name": "d.jsonl", "training_yaml_name": "c.yaml"}'
            return (await client.request(f"ask.{user}.projects.CreateProject", body, timeout=60)).data.decode()
        finally:
            await client.close()

    return asyncio.run(ask())
