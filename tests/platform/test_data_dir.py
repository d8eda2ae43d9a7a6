"""One owner of a data directory, and a training directory that is the user's once it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime import training_directory
from services.runtime.children.processes import boot_id
from services.runtime.settings import SettingRefused, Settings, load
from services.serve.data_dir import Lock, prepared, running_trainings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(training_directory, "DOCUMENTED_TRAINING_DIR", tmp_path / "documented")
    return load({}, options={"data_dir": tmp_path / "data"})


def test_the_example_is_copied_once_and_then_the_users_own(settings: Settings) -> None:
    copy = prepared(settings).host_training_dir
    assert copy == settings.data_dir / "training"
    assert (copy / "datasets" / "qwen_demo.jsonl").is_file()
    (copy / "run_train_full_sft.sh").write_text("echo mine\n")
    (copy / "configs" / "qwen_demo.yaml").unlink()
    prepared(settings)
    assert (copy / "run_train_full_sft.sh").read_text() == "echo mine\n"
    assert not (copy / "configs" / "qwen_demo.yaml").exists()


def test_an_interrupted_copy_is_made_again(settings: Settings) -> None:
    half = settings.data_dir / ".training.new"
    half.mkdir(parents=True)
    (half / "half").touch()
    copy = prepared(settings).host_training_dir
    assert copy is not None
    assert (copy / "configs" / "qwen_demo.yaml").is_file()
    assert not (copy / "half").exists()


def test_the_documented_directory_goes_before_the_example(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "documented").mkdir()
    assert prepared(settings).host_training_dir == tmp_path / "documented"
    assert not (settings.data_dir / "training").exists()


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingRefused, match=r"^TRAINLEDGER_DATA_DIR names .*/file/below, which cannot be made: "):
        prepared(load({"TRAINLEDGER_DATA_DIR": str(tmp_path / "file" / "below")}))


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    Lock(tmp_path).take()
    with pytest.raises(SettingRefused, match="already serves the data directory"):
        Lock(tmp_path).take()


def test_only_a_living_training_runs(tmp_path: Path) -> None:
    def run(name: str, pid: str) -> Path:
        directory = tmp_path / "runs" / name / "1"
        directory.mkdir(parents=True)
        (directory / "pid").write_text(pid)
        return directory

    own = Path("/proc/self/stat").read_text()
    pid, start = own.split()[0], own.rpartition(")")[2].split()[19]
    run("alive", f"{pid} {start} {boot_id()}")
    run("recycled", f"{pid} {int(start) + 1} {boot_id()}")
    run("before the reboot", f"{pid} {start} another")
    run("empty", "")
    (run("ended", f"{pid} {start} {boot_id()}") / "exit").write_text("0 1")
    assert running_trainings(tmp_path) == ["alive"]
