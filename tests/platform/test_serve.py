"""One start, looked at from outside."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import urllib.error
from pathlib import Path

import pytest

from tests.platform.serving import PATIENCE, Serving, until

pytestmark = pytest.mark.slow

PROJECT = {
    "name": "qwen-finetune",
    "owner": "alice",
    "dataset_name": "datasets/qwen_demo.jsonl",
    "training_yaml_name": "configs/qwen_demo.yaml",
}


def test_prints_where_everything_is(running: Serving) -> None:
    said = until(lambda: running.said() if "Ctrl-C" in running.said() else "", "the announcement")
    for line in (
        f"http://127.0.0.1:{running.port}",
        f"http://127.0.0.1:{running.port}/docs",
        f"nats://127.0.0.1:{running.nats_port}",
        str(running.data / "nats" / "credentials"),
        f"sqlite:///{running.data}/training.db",
        str(running.data / "training"),
    ):
        assert line in said


def test_keeps_secrets_to_their_owner_and_everything_in_the_data_directory(running: Serving) -> None:
    seeds = list((running.data / "nats" / "credentials").iterdir())
    assert {seed.name for seed in seeds} == {"admin.nk", "service.nk"}
    assert all(stat.S_IMODE(seed.stat().st_mode) == 0o600 for seed in seeds)
    assert not any(seed.read_text().strip() in (running.data / "nats/nats.conf").read_text() for seed in seeds)
    assert {entry.name for entry in running.directory.iterdir()} == {"data", "output.txt"}
    assert stat.S_IMODE(running.data.stat().st_mode) == 0o700


def test_idles_under_250_megabytes(running: Serving) -> None:
    until(running.ready, "readiness")
    parts = running.parts()
    assert set(parts) == {"serve", "edge", "workers", "nats-server"}
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in parts.values()]
    kilobytes = sum(int(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:"))
    assert kilobytes < 250 * 1024


def test_refuses_a_second_start_on_the_same_data(running: Serving) -> None:
    refused = running.command("serve", "--port", "1")
    assert refused.returncode == 78
    assert refused.stderr.count("\n") == 1
    assert f"data directory {running.data}" in refused.stderr
    assert f"`trainledger stop --data-dir {running.data}`" in refused.stderr
    assert running.healthy()


def test_refuses_a_taken_port_before_anything_starts(serving: Serving) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = serving.command("serve", "--port", port)
    assert refused.returncode == 78
    assert refused.stderr == (f"Port {port} on 127.0.0.1 is taken; choose another with --port or TRAINLEDGER_PORT.\n")
    assert not serving.parts()
    assert not serving.data.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXECUTOR", "magic"),
        ("TRAINING_DB_URL", "no url"),
        ("TRAINING_DB_URL", "oracle://user:hunter2@nowhere/name"),
        ("HOST_TRAINING_DIR", "/does/not/exist"),
        ("TRAINING_DB_URL", "postgresql://user:hunter2@127.0.0.1:1/name"),
        ("NATS_URL", "http://somewhere"),
        ("DEPLOY_LOG_DIR", "/etc/passwd"),
        ("DEPLOY_LOG_DIR", "/proc/none"),
        ("TRAINLEDGER_DEPLOY_HOST", "xx.."),
        ("TRAINLEDGER_HOST", "::xx.."),
    ],
)
def test_one_sentence_names_a_setting_that_cannot_be_used(serving: Serving, name: str, value: str) -> None:
    refused = serving.command("serve", "--port", str(serving.port), **{name: value})
    assert refused.returncode == 78, refused.stderr
    sentences = [line for line in refused.stderr.splitlines() if name in line]
    assert len(sentences) == 1, refused.stderr
    assert "hunter2" not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr
    assert not serving.parts()


def test_a_closed_terminal_stops_all_in_order(serving: Serving) -> None:
    serving.start()
    nats = serving.part("nats-server")
    assert os.getsid(nats) == nats, "the terminal's signal must not reach it first"
    assert serving.stop(signal.SIGHUP) == 0
    assert not serving.parts()
    assert "lost NATS" not in serving.said(), "nats-server went before its clients"


def test_a_closed_terminal_stops_what_make_started_in_it(serving: Serving) -> None:
    """make, as the terminal's only program, takes the hang-up and waits; so does this shell."""
    master, terminal = os.openpty()
    shell = f"trap : HUP; {shlex.join(serving.arguments('serve', '--port', str(serving.port)))}; exit 0"
    # setsid --ctty: the new session's terminal is its standard input
    leader = subprocess.Popen(
        ["setsid", "--ctty", "sh", "-c", shell], stdin=terminal, stdout=terminal, stderr=terminal,
        env=serving.environment(), cwd=serving.directory,
    )  # fmt: skip
    os.close(terminal)
    until(serving.healthy, "an answer")
    assert leader.poll() is None
    os.close(master)
    leader.wait(PATIENCE)
    assert not serving.parts()


def test_a_terminal_that_is_gone_hears_no_last_words(serving: Serving) -> None:
    master, terminal = os.openpty()
    serving.start(terminal=terminal)
    os.close(terminal)
    os.close(master)  # every word fails from here on
    serving.stop(signal.SIGHUP)
    assert not serving.parts()


def test_what_nohup_started_outlives_its_terminal(serving: Serving) -> None:
    serving.start(through=["nohup"])
    before = serving.parts()
    for pid in before.values():
        if pid != before["nats-server"]:
            os.kill(pid, signal.SIGHUP)
    assert serving.command("token", "list").returncode == 0
    assert serving.healthy()
    assert serving.stop(signal.SIGTERM) == 0
    assert "is started again" not in serving.said()
    assert not serving.parts()


def test_stops_from_another_shell(serving: Serving) -> None:
    serving.start()
    assert serving.process is not None
    stopped = serving.command("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert serving.process.wait(PATIENCE) == 0
    serving.process = None
    assert not serving.parts()
    again = serving.command("stop")
    assert again.returncode == 0
    assert "does not serve" in again.stdout


def test_trainings_go_on_and_end_with_all(serving: Serving) -> None:
    serving.start()
    until(serving.launches, "a node that trains")
    (serving.data / "training" / "run_train_full_sft.sh").write_text("sleep 600\n")
    assert serving.post("/projects", PROJECT)[0] == 201
    run = serving.post("/projects/qwen-finetune/runs")[1]
    assert run["status"] == "running"
    assert serving.stop() == 0
    goes_on = serving.said().partition("These trainings go on")[2]
    assert f"`trainledger stop --all --data-dir {serving.data}`" in goes_on
    assert run["id"] in goes_on
    child = int(next((serving.data / "runs" / run["id"]).glob("*/pid")).read_text().split()[0])
    os.kill(child, 0)

    serving.start()
    assert serving.get(f"/projects/qwen-finetune/runs/{run['id']}")[1]["status"] == "running"
    assert serving.process is not None
    stopped = serving.command("stop", "--all")
    assert stopped.returncode == 0, stopped.stderr
    serving.process.wait(PATIENCE)
    serving.process = None
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_trainings_end_with_all_also_while_nothing_serves_them(serving: Serving) -> None:
    serving.start()
    until(serving.ready, "readiness")
    (serving.data / "training" / "run_train_full_sft.sh").write_text("sleep 600\n")
    assert serving.post("/projects", PROJECT)[0] == 201
    run = serving.post("/projects/qwen-finetune/runs")[1]
    assert serving.stop() == 0
    child = int(next((serving.data / "runs" / run["id"]).glob("*/pid")).read_text().split()[0])
    os.kill(child, 0)

    stopped = serving.command("stop", "--all")
    assert stopped.returncode == 0, stopped.stderr
    assert stopped.stdout.startswith("Ended 1 training.\n")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert not serving.parts()
    again = serving.command("stop", "--all")
    assert (again.returncode, again.stdout.splitlines()[0]) == (
        0, f"No training and no deployment of {serving.data} is running."
    )  # fmt: skip
    serving.start()
    until(serving.ready, "readiness")
    assert serving.get(f"/projects/qwen-finetune/runs/{run['id']}")[1]["status"] == "canceled"


def test_a_command_says_in_one_line_that_the_database_is_away(serving: Serving) -> None:
    away = {"TRAINING_DB_URL": "postgresql://a:secret@127.0.0.1:1/x"}
    shown = serving.command("logs", "show", "5f0c8f0e-8c1f-4a53-9f3b-2f6d7c1e9a10", **away)
    assert (shown.returncode, shown.stderr.count("\n")) == (69, 1)
    assert "TRAINING_DB_URL" in shown.stderr
    assert "secret" not in shown.stderr


def test_others_are_served_only_with_a_token(serving: Serving) -> None:
    refused = serving.command("serve", "--host", "0.0.0.0", "--port", str(serving.port))
    assert refused.returncode == 78
    assert f"`trainledger token add NAME --role admin --data-dir {serving.data}`" in refused.stderr
    assert not serving.data.exists()

    made = serving.command("token", "add", "alice", "--role", "reader")
    assert made.returncode == 0, made.stderr
    assert not serving.parts()
    listed = serving.command("token", "list").stdout
    assert "alice" in listed
    assert "active" in listed
    second = serving.command("token", "add", "alice")
    assert "alice has 2 active tokens now" in second.stderr
    rows = serving.command("token", "list").stdout.splitlines()
    shown = [re.fullmatch(r"(\S+)  \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  .* alice", row) for row in rows]
    assert [row and row[1] for row in shown] == [made.stderr.split()[1], second.stderr.split()[1]]
    assert made.stdout.strip() not in listed

    serving.start("--host", "0.0.0.0")
    said = until(lambda: serving.said() if "Ctrl-C" in serving.said() else "", "the announcement")
    assert f"http://127.0.0.1:{serving.port}\n             on all addresses of this machine" in said
    with pytest.raises(urllib.error.HTTPError, match="401"):
        serving.get("/projects")
    assert serving.get("/projects", Authorization=f"Bearer {made.stdout.strip()}") == (200, [])
    assert serving.command("token", "revoke", made.stderr.split()[1]).returncode == 0


def test_a_person_is_erased_from_the_command_line(running: Serving) -> None:
    assert running.command("token", "add", "艾琳").returncode == 0
    assert "艾琳" in running.command("token", "list").stdout
    erased = running.command("person", "erase", "艾琳")
    assert erased.returncode == 0, erased.stderr
    listed = running.command("token", "list").stdout
    assert "艾琳" not in listed
    assert "(erased)" in listed
    again = running.command("person", "erase", "艾琳")
    assert (again.returncode, again.stderr) == (1, "Nobody is known as 艾琳.\n")
    called = "5f0c8f0e-8c1f-4a53-9f3b-2f6d7c1e9a10"  # as nobody's id is
    assert running.command("token", "add", called).returncode == 0
    assert running.command("person", "erase", called).returncode == 0
    assert called not in running.command("token", "list").stdout
