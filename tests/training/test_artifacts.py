"""What a run left beside its checkpoints, and only what is its own."""

from __future__ import annotations

import os
import time
from pathlib import Path

from services.training.artifacts import tensorboards, trainer_logs


def test_tensorboard_directories(tmp_path: Path) -> None:
    runs = tmp_path / "runs" / "May01_box"
    runs.mkdir(parents=True)
    (runs / "events.out.tfevents.1.box.2.0").write_bytes(b"12345")
    found = tensorboards(tmp_path, 0)
    assert [(entry.name, entry.type, entry.size) for entry in found] == [("runs/May01_box", "tensorboard", 5)]


def test_a_directory_whose_name_is_no_text_is_passed_over(tmp_path: Path) -> None:
    """As one named in GBK: no fact could tell of it."""
    for name in ("训练".encode("gbk"), "训练".encode()):
        directory = tmp_path / os.fsdecode(name)
        directory.mkdir()
        (directory / "events.out.tfevents.1.box.2.0").write_bytes(b"123")
    assert [entry.name for entry in tensorboards(tmp_path, 0)] == ["训练"]


def test_the_trainers_own_log_of_this_run(tmp_path: Path) -> None:
    assert trainer_logs(tmp_path, 0) == []
    (tmp_path / "trainer_log.jsonl").write_text('{"current_steps": 5, "loss": 1.25}\n')
    [found] = trainer_logs(tmp_path, 0)
    assert (found.name, found.type, found.size) == ("trainer_log.jsonl", "metrics", 35)
    assert trainer_logs(tmp_path, time.time() + 60) == []
    (tmp_path / "trainer_log.jsonl").unlink()
    os.mkfifo(tmp_path / "trainer_log.jsonl")
    assert trainer_logs(tmp_path, 0) == []
