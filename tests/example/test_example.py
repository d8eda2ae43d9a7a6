"""The training that a new user's first run starts: it learns, can be stopped and continued, and says what is wrong."""

from __future__ import annotations

import collections
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from services.training.parsers import OutputParser, Parsed, read_trainer_log

SOURCE = Path(__file__).parents[2] / "deploy" / "example"
STATE_FILES = ("model.json", "optimizer.json", "trainer_state.json", "config.json")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the example, as the service makes one."""
    return Path(shutil.copytree(SOURCE, tmp_path / "training", ignore=shutil.ignore_patterns("output", "__pycache__")))


def environment(**more: str) -> dict[str, str]:
    cleared = {"OUTPUT_DIR", "RESUME_FROM_CHECKPOINT"}
    inherited = {name: value for name, value in os.environ.items() if name not in cleared}
    return {**inherited, "TRAINLEDGER_PYTHON": sys.executable, **more}


def configure(home: Path, **changes: object) -> str:
    """A short training's YAML; a change to None takes the key out."""
    settings = yaml.safe_load((home / "configs/qwen_demo.yaml").read_text(encoding="utf-8"))
    settings |= {"max_steps": 6, "logging_steps": 2, "save_steps": 3, "per_device_train_batch_size": 1, **changes}
    kept = {key: value for key, value in settings.items() if value is not None}
    (home / "configs/short.yaml").write_text(yaml.safe_dump(kept), encoding="utf-8")
    return "configs/short.yaml"


def train(home: Path, config: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    command = ["bash", "run_train_full_sft.sh", config]
    return subprocess.run(command, cwd=home, env=environment(**more), capture_output=True, timeout=900)


def understood(output: bytes) -> Parsed:
    return OutputParser().feed(output, 0.0)


def losses_of(found: Parsed) -> list[float]:
    losses = [point.value for point in found.points if point.name == "train_loss"]
    return [math.nan if loss is None else loss for loss in losses]


def state_of(checkpoint: Path) -> list[bytes]:
    return [(checkpoint / name).read_bytes() for name in STATE_FILES]


def unigram_entropy(dataset: Path) -> float:
    """Nats for each byte of the answers and their ends: the best loss of a model that ignores context."""
    records = [json.loads(line) for line in dataset.read_text(encoding="utf-8").splitlines()]
    counts = collections.Counter(token for record in records for token in (*record["output"].encode(), "end"))
    total = counts.total()
    return -sum(count / total * math.log(count / total) for count in counts.values())


@pytest.mark.slow
def test_the_documented_training_learns(home: Path) -> None:
    done = train(home, "configs/qwen_demo.yaml")
    assert done.returncode == 0, done.stderr
    found = understood(done.stdout)
    losses = losses_of(found)
    assert losses[0] > 4
    assert losses[-1] < 0.5 * losses[0]
    assert losses[-1] < 0.6 * unigram_entropy(home / "datasets/qwen_demo.jsonl")
    assert re.search(rb"\n\{'train_runtime': '[\d.]+', .*'train_loss': '[\d.]+', 'epoch': '5'\}\n$", done.stdout)

    bars = understood(done.stderr)
    assert (bars.step, bars.total_steps) == (120, 120)
    [last] = bars.lines
    assert re.fullmatch(r"100%\|██████████\| 120/120 \[\d\d:\d\d<00:00, .*\]", last.message)

    output = home / "output/qwen_demo"
    log = read_trainer_log((output / "trainer_log.jsonl").read_bytes(), 0, 0.0)
    logged = [point for point in log.points if point.name == "train_loss"]
    assert [f"{point.value:.4g}" for point in logged] == [f"{loss:.4g}" for loss in losses]
    assert [point.step for point in logged] == list(range(5, 121, 5))
    assert sorted(path.name for path in output.iterdir()) == [
        "checkpoint-120", "checkpoint-40", "checkpoint-80", "trainer_log.jsonl",
    ]  # fmt: skip
    state = json.loads((output / "checkpoint-120/trainer_state.json").read_bytes())
    assert (state["global_step"], state["max_steps"], state["epoch"]) == (120, 120, 5.0)
    assert [entry["step"] for entry in state["log_history"]] == list(range(5, 121, 5))


def test_the_log_is_that_of_llama_factory(home: Path) -> None:
    done = train(home, configure(home))
    assert done.returncode == 0, done.stderr
    lines = (home / "output/qwen_demo/trainer_log.jsonl").read_text().splitlines()
    assert [json.loads(line)["current_steps"] for line in lines] == [2, 4, 6]
    assert list(json.loads(lines[0])) == [
        "current_steps", "total_steps", "loss", "lr", "epoch", "percentage", "elapsed_time", "remaining_time",
    ]  # fmt: skip
    assert re.fullmatch(rb"(?s)\r  0%\|          \| 0/6 \[00:00<\?, \?it/s\]\r.*", done.stderr)
    assert len(understood(done.stdout).lines) == 3 + 3 + 1


@pytest.mark.parametrize("by", ["environment", "yaml"])
def test_a_continuation_equals_the_uninterrupted_training(home: Path, by: str) -> None:
    # save_steps and logging_steps differ, so the loss of a step before the checkpoint is logged behind it.
    assert train(home, configure(home, output_dir="one")).returncode == 0
    if by == "environment":
        done = train(home, configure(home), OUTPUT_DIR="two", RESUME_FROM_CHECKPOINT=str(home / "one/checkpoint-3"))
    else:
        done = train(home, configure(home, output_dir="two", resume_from_checkpoint="one/checkpoint-3"))
    assert done.returncode == 0, done.stderr
    assert b"step 3 of 6" in done.stdout
    assert [path.name for path in (home / "two").glob("checkpoint-*")] == ["checkpoint-6"]
    assert state_of(home / "two/checkpoint-6") == state_of(home / "one/checkpoint-6")


def test_trained_weights_are_a_model_to_start_from(home: Path) -> None:
    assert train(home, configure(home, output_dir="one")).returncode == 0
    done = train(home, configure(home, output_dir="two", model_name_or_path="one/checkpoint-6", max_steps=1))
    assert done.returncode == 0, done.stderr
    (loss,) = losses_of(understood(done.stdout))
    assert loss < 4.4
    assert state_of(home / "two/checkpoint-1") != state_of(home / "one/checkpoint-6")


def test_sigterm_leaves_whole_checkpoints_only(home: Path) -> None:
    config = configure(home, max_steps=100_000, save_steps=1)
    child = subprocess.Popen(
        ["bash", "run_train_full_sft.sh", config],
        cwd=home, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        while b"'loss'" not in (line := child.stdout.readline()):
            assert line, "the training ended too early"
        child.send_signal(signal.SIGTERM)
        child.stdout.read()
        assert child.wait(120) == 143
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    left = [path for path in (home / "output/qwen_demo").iterdir() if path.is_dir()]
    assert left
    for checkpoint in left:
        assert re.fullmatch(r"checkpoint-\d+", checkpoint.name)
        for name in STATE_FILES:
            json.loads((checkpoint / name).read_bytes())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output_dir": None, "learning_rate": None}, "missing keys: output_dir, learning_rate"),
        ({"learning_rat": 0.1}, "unknown keys: learning_rat"),
        ({"learning_rate": "fast"}, "learning_rate: 'fast' is not float"),
        ({"logging_steps": 0}, "logging_steps: must be above 0"),
        ({"max_steps": 1.5}, "max_steps: 1.5 is not int"),
        ({"stage": "dpo"}, "stage: 'dpo' is none of sft"),
        ({"dataset": "datasets/none.jsonl"}, "datasets/none.jsonl"),
        ({"model_name_or_path": "models/none"}, "models/none"),
        ({"resume_from_checkpoint": "output/none"}, "output/none"),
    ],
)
def test_what_cannot_be_honoured_is_said(home: Path, changes: dict[str, object], message: str) -> None:
    done = train(home, configure(home, **changes))
    assert done.returncode in (1, 2)
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    (line,) = understood(done.stderr).lines
    assert line.level == "ERROR"


def test_a_wrong_file_or_record_is_said(home: Path) -> None:
    assert train(home, "configs/none.yaml").returncode == 2
    (home / "configs/bad.yaml").write_text("a: [")
    assert b"not YAML" in train(home, "configs/bad.yaml").stderr
    with (home / "datasets/qwen_demo.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"instruction": "?"}\n')
    done = train(home, configure(home))
    assert (done.returncode, b"line 73" in done.stderr) == (1, True)


def test_checkpoints_are_not_mixed_unless_allowed(home: Path) -> None:
    config = configure(home, max_steps=1, overwrite_output_dir=False)
    assert train(home, config).returncode == 0
    done = train(home, config)
    assert (done.returncode, b"has checkpoints already" in done.stderr) == (1, True)
    assert train(home, config, OUTPUT_DIR="elsewhere").returncode == 0


def test_the_schedules(home: Path) -> None:
    for schedule, rates in {"constant": ["0.03"] * 2, "linear": ["0.03", "0.015"], "cosine": ["0.03", "0.015"]}.items():
        done = train(home, configure(home, max_steps=2, logging_steps=1, warmup_ratio=0, lr_scheduler_type=schedule))
        found = [point.value for point in understood(done.stdout).points if point.name == "learning_rate"]
        assert [f"{rate:.4g}" for rate in found] == rates
