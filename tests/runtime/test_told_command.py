from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from services.runtime.settings import load
from services.runtime.told_command import told_command


def test_a_told_command_names_the_data_directory_that_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert told_command("stop", load({}).data_dir) == "`trainledger stop`"
    other = load({"TRAINLEDGER_DATA_DIR": "my data"}).data_dir
    assert shlex.split(told_command("stop --all", other).strip("`")) == [
        "trainledger", "stop", "--all", "--data-dir", str(other)
    ]  # fmt: skip
