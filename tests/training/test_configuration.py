"""The YAML that a run was launched with, and the one that it is to use."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from services.training.configuration import derived, keep_configuration

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example" / "configs" / "qwen_demo.yaml"
CHANGES = {"output_dir": "out/7 输出: #", "resume_from_checkpoint": "out/6/checkpoint-40"}


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("output_dir: out/a # here\n", "out/a"),
        ("a: 1\noutput_dir: '/data/输出'\n", "/data/输出"),
        ("output_dir: [a]\n", None),
        ("output_dir:\n", None),
        ("- output_dir\n", None),
        ("a: &a [x, x]\nb: &b [*a, *a]\noutput_dir: out\n", "out"),
        ("a: [" * 3_000, None),
        ("", None),
        ("{", None),
    ],
)
def test_the_configuration_is_kept_as_it_was(tmp_path: Path, content: str, output: str | None) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "a.yaml").write_text(content)
    kept = keep_configuration(tmp_path, "a.yaml", tmp_path / "run")
    assert kept is not None
    assert kept.output_dir == output
    assert kept.copy.sha256 == hashlib.sha256(content.encode()).hexdigest()
    (tmp_path / "a.yaml").write_text("changed: true\n")
    assert keep_configuration(tmp_path, "a.yaml", tmp_path / "run") == kept


def test_a_configuration_outside_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "secret.yaml").write_text("a: 1\n")
    (tmp_path / "root" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    for name in ("link.yaml", "../secret.yaml", "nothing.yaml", "."):
        assert keep_configuration(tmp_path / "root", name, tmp_path / "run") is None


@pytest.mark.parametrize(
    "content",
    [
        EXAMPLE.read_text(encoding="utf-8"),
        "output_dir: out\nb: [1, 2]\n",
        "b: 1\noutput_dir: 'a'  # comment\nresume_from_checkpoint:",
        "resume_from_checkpoint: ~\noutput_dir: >-\n  folded\n  text\nb: 1\n",
        "---\n  a: {x: 1}\n  output_dir: x\n...\n",
        "output_dir: x\r\na: 1\r\n",
        "output_dir: a\noutput_dir: b\n",
    ],
)
def test_only_what_is_the_runs_own_is_changed(content: str) -> None:
    changed = derived(content.encode(), CHANGES)
    assert changed is not None
    assert yaml.safe_load(changed) == yaml.safe_load(content) | CHANGES
    kept = [line for line in content.splitlines() if "#" in line and not line.startswith(tuple(CHANGES))]
    assert set(kept) <= set(changed.decode().splitlines())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "a",
        "- a",
        "{output_dir: a}",
        "a: &x b\noutput_dir: *x\n",
        "output_dir: &x b\na: *x\n",
        "output_dir: [a]",
        "\0",
    ],
)
def test_what_cannot_be_changed_for_certain_is_left(content: str) -> None:
    assert derived(content.encode(), CHANGES) is None


def test_both_are_kept(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "a.yaml").write_text("output_dir: out # here\n")
    kept = keep_configuration(tmp_path, "a.yaml", tmp_path / "run", own_directory="7", resume="out/6/checkpoint-1")
    assert kept is not None
    assert [(found.name, found.type) for found in kept.found] == [("a.yaml", "config"), ("a.yaml", "config_original")]
    content = Path(kept.copy.path).read_bytes()
    assert content.decode() == 'resume_from_checkpoint: "out/6/checkpoint-1"\noutput_dir: "out/7" # here\n'
    assert kept.copy.sha256 == hashlib.sha256(content).hexdigest()
    assert kept.original is not None
    assert Path(kept.original.path).read_text() == "output_dir: out # here\n"
