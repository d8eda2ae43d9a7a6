"""Only checkpoints that are complete, and only those of the run itself."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from services.training.checkpoints import checkpoints, is_complete


def checkpoint(directory: Path, step: int, state: str | None = "{}", age: float = 10.0) -> Path:
    made = directory / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"x" * 100)
    if state is not None:
        file = made / "trainer_state.json"
        file.write_text(state)
        moment = time.time() - age
        os.utime(file, (moment, moment))
    return made


def test_complete_checkpoints_in_order_of_their_steps(tmp_path: Path) -> None:
    for step in (100, 20, 3):
        checkpoint(tmp_path, step)
    checkpoint(tmp_path, 1, state=None)
    checkpoint(tmp_path, 2, state='{"half": ')
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-7").symlink_to(tmp_path / "checkpoint-3")
    found = checkpoints(tmp_path, 0, ended=False)
    assert [(entry.name, entry.size, entry.files) for entry in found] == [
        ("checkpoint-3", 102, 2),
        ("checkpoint-20", 102, 2),
        ("checkpoint-100", 102, 2),
    ]
    assert found[0].path == str(tmp_path / "checkpoint-3")


def test_what_an_earlier_run_left_is_not_claimed(tmp_path: Path) -> None:
    checkpoint(tmp_path, 1, age=100)
    checkpoint(tmp_path, 2, age=10)
    assert [entry.name for entry in checkpoints(tmp_path, time.time() - 50, ended=True)] == ["checkpoint-2"]


def test_a_checkpoint_just_written_waits_until_the_run_ended(tmp_path: Path) -> None:
    checkpoint(tmp_path, 1, age=0)
    assert checkpoints(tmp_path, 0, ended=False) == []
    assert len(checkpoints(tmp_path, 0, ended=True)) == 1
    assert checkpoints(tmp_path / "nothing", 0, ended=True) == []


@pytest.mark.parametrize("left_behind", ["pipe", "link", "list", "not text"])
def test_what_a_training_puts_in_the_place_of_its_state_is_no_checkpoint(tmp_path: Path, left_behind: str) -> None:
    state = checkpoint(tmp_path, 1, state=None) / "trainer_state.json"
    match left_behind:
        case "pipe":
            os.mkfifo(state)
        case "link":
            (tmp_path / "elsewhere.json").write_text("{}")
            state.symlink_to(tmp_path / "elsewhere.json")
        case "list":
            state.write_text("[]")
        case _:
            state.write_bytes(b'{"a": "\xff"}')
    assert checkpoints(tmp_path, 0, ended=True) == []


def test_a_checkpoint_of_which_shards_were_taken_away_is_not_complete(tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 1, state='{"log_history": [{"loss": NaN}]}')
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"metadata": {"total_size": 2}, "weight_map": {"a": names[0], "b": names[1], "c": names[1]}}
    (made / "model.safetensors.index.json").write_text(json.dumps(index))
    (made / names[0]).touch()
    assert not is_complete(made)
    (made / names[1]).touch()
    assert is_complete(made)
    (made / "model.safetensors.index.json").write_text('{"weight_map": [')
    assert not is_complete(made)


def test_a_checkpoint_of_deepspeed_has_what_its_tag_names(tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 50)
    (made / "latest").write_text("global_step50\n")
    assert not is_complete(made)
    (made / "global_step50").mkdir()
    assert is_complete(made)


@pytest.mark.parametrize(
    ("tracker", "last", "names"),
    [
        ("latest", "global_step20", ("global_step3", "global_step20", "global_step30")),
        ("latest_checkpointed_iteration.txt", "20\n", ("iter_0000003", "iter_0000020", "iter_0000030")),
    ],
)
def test_checkpoints_of_deepspeed_and_megatron_are_complete_up_to_the_tracked_one(
    tmp_path: Path, tracker: str, last: str, names: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mp_rank_00_model_states.pt").write_bytes(b"x" * 7)
    assert checkpoints(tmp_path, 0, ended=True) == []
    (tmp_path / tracker).write_text(last)
    found = checkpoints(tmp_path, 0, ended=True)
    assert [(entry.name, entry.size, entry.files) for entry in found] == [(names[0], 7, 1), (names[1], 7, 1)]
    assert checkpoints(tmp_path, time.time() + 60, ended=True) == []
    assert not is_complete(tmp_path / names[2])
    (tmp_path / tracker).write_text("release")
    assert checkpoints(tmp_path, 0, ended=True) == []


def test_odd_names_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("checkpoint-²", "checkpoint-１", "checkpoint-", "checkpoint-1x", "iter_", "checkpoint-\udcff1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text("{}")
    assert checkpoints(tmp_path, 0, ended=True) == []
