"""What the repository promises as a whole: names, pins, version."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from services import VERSION

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("contracts", "deploy", "events", "projections", "services", "tests")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9.-]", requirement)[0].lower() for requirement in requirements}


def test_no_module_has_a_name_that_says_nothing() -> None:
    said = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
    found = [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py") if path.stem in said]
    assert not found


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_name_no_place_and_pin_by_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "index" not in text
    for block in re.split(r"\n(?=\S)", text):
        assert block.startswith("#") or "--hash=sha256:" in block, block


def test_locks_pin_what_the_project_declares_and_agree() -> None:
    running, testing = pins("requirements.lock"), pins("requirements-dev.lock")
    assert names(PROJECT["project"]["dependencies"]) <= running.keys()
    assert names(PROJECT["dependency-groups"]["dev"]) <= testing.keys()
    assert running.items() <= testing.items()
    assert not {"pytest", "hypothesis", "ruff", "mypy"} & running.keys()


def test_the_command_line_starts_without_the_frameworks() -> None:
    code = "import services.cli, services.serve.parent, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"asyncio", "litestar", "nats", "sqlalchemy", "yaml"} & set(loaded)


def test_the_version_is_told() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "services.cli", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == f"TrainLedger {VERSION}\n"
