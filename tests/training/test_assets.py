"""Assets are looked for inside the training directory only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import nats
import pytest

from contracts import subjects
from contracts.runs import AssetQuestion, AssetReport
from services.training.assets import answer_asset_questions, report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "training"
    (root / "configs").mkdir(parents=True)
    (root / "configs" / "有 空格.yaml").touch()
    (root / "inside").symlink_to("configs/有 空格.yaml")
    (root / "up").symlink_to("..")
    (tmp_path / "secret").touch()
    (root / "escape").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to("loop")
    return root


@pytest.mark.parametrize("name", ["configs/有 空格.yaml", "./configs/../configs/有 空格.yaml", "inside"])
def test_what_is_there(root: Path, name: str) -> None:
    assert report("box", root, (name,)) == AssetReport(node="box")


@pytest.mark.parametrize("name", ["nothing", "a.yaml; rm -rf /", "a\0b", "x" * 5_000, "loop", "inside/x"])
def test_what_is_missing(root: Path, name: str) -> None:
    assert report("box", root, (name,)) == AssetReport(node="box", missing=(name,))


@pytest.mark.parametrize("name", ["configs", "", "pipe"])
def test_what_is_no_file(root: Path, name: str) -> None:
    os.mkfifo(root / "pipe")
    assert report("box", root, (name,)) == AssetReport(node="box", missing=(name,), not_files=(name,))


def test_what_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # as root may read anything
    assert report("box", root, ("inside", "nothing")) == AssetReport(
        node="box", missing=("inside", "nothing"), unreadable=("inside",)
    )


@pytest.mark.parametrize("name", ["../secret", "escape", "up/secret", "/etc/passwd", "../../../etc/passwd", ".."])
def test_what_leads_out(root: Path, name: str) -> None:
    assert report("box", root, (name,)) == AssetReport(node="box", outside=(name,))


def test_a_training_directory_that_is_a_link_itself(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert report("box", tmp_path / "link", ("inside", "../secret")).outside == ("../secret",)
    absolute = str(root / "configs" / "有 空格.yaml")
    assert report("box", root, (absolute,)).outside == (absolute,)


async def test_nodes_answer_over_nats(root: Path, nats_url: str) -> None:
    connection = await nats.connect(nats_url)
    subscription = await answer_asset_questions(connection, "box", root)
    question = msgspec.json.encode(AssetQuestion(names=("nothing", "inside", "escape")))
    answer = await connection.request(subjects.NODE_ASSETS, question, timeout=60)
    expected = AssetReport(node="box", missing=("nothing",), outside=("escape",))
    assert msgspec.json.decode(answer.data, type=AssetReport) == expected
    await subscription.unsubscribe()
    await connection.close()


def test_checkpoints_that_are_not_whole_are_named(root: Path) -> None:
    for name, state in (("checkpoint-1", "{}"), ("checkpoint-2", "{")):
        (root / name).mkdir()
        (root / name / "trainer_state.json").write_text(state)
    paths = tuple(str(root / f"checkpoint-{number}") for number in (1, 2, 3))
    assert report("box", root, (), paths).incomplete == paths[1:]
