"""Every command that the READMEs show, run in their order against a service of its own (only ports differ)."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.settings import markdown
from tests.platform.serving import ROOT, Serving, until

pytestmark = pytest.mark.slow

READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_STARTS = "make serve"  # what the fixture stands for; tests/platform tries the target itself
# curl that fails on an error status and shows the answer; `trainledger` as this environment has it; a second serve of
# this directory could only be refused, so the first is stopped for it, and it is ended once it answers
_SHELL = """
curl() { command curl --fail-with-body -S "$@"; echo; }
trainledger() {
  if [ "$1" != serve ]; then "$PYTHON" -X utf8 -m services.cli "$@"; return; fi
  "$PYTHON" -X utf8 -m services.cli stop
  "$PYTHON" -X utf8 -m services.cli "$@" > serve.txt 2>&1 &
  until grep -q Ctrl-C serve.txt; do kill -0 $! || { cat serve.txt; return 1; }; sleep 0.1; done
  kill -INT $!; wait $!
}
"""


def blocks(readme: Path) -> list[tuple[str, str]]:
    found = [(match[1], match[2].strip()) for match in _BLOCK.finditer(readme.read_text(encoding="utf-8"))]
    return [(language, text) for language, text in found if text != _STARTS]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(tmp_path)
    serving.start()
    until(serving.launches, "a node that trains")
    yield serving
    serving.end_everything()
    if serving.process is not None:  # ended by a command of the README
        serving.process.wait(30)


def run(language: str, text: str, serving: Serving) -> subprocess.CompletedProcess[str]:
    text = text.replace("localhost:8000", f"localhost:{serving.port}").replace(":4222", f":{serving.nats_port}")
    text = text.replace("--host 0.0.0.0", "--host 127.0.0.1")  # tests open nothing to the network
    credentials = serving.data / "nats" / "credentials"
    environment = serving.environment(
        TRAINLEDGER_DATA_DIR=str(serving.data), TRAINLEDGER_PORT=str(serving.port), PYTHON=sys.executable
    )
    command = [sys.executable, "-c", text] if language == "python" else ["bash", "-euc", _SHELL + text]
    return subprocess.run(
        command, cwd=credentials, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300
    )


def test_the_commands_of_the_readme_work_as_shown(serving: Serving) -> None:
    shown = blocks(READMES["en"])  # and so do those of the other language: they are the same
    assert len(shown) > 8
    for kind, text in shown:
        done = run(kind, text, serving)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        if kind == "python":
            assert '"accepted"' in done.stdout


def test_both_readmes_show_the_same_commands() -> None:
    assert blocks(READMES["en"]) == blocks(READMES["zh"])


def table_of_settings(language: str) -> list[str]:
    text = READMES[language].read_text(encoding="utf-8")
    match = re.search(r"<!-- settings -->\n(.*?)<!-- /settings -->", text, re.DOTALL)
    assert match is not None
    return match[1].strip().splitlines()


def test_the_table_of_settings_is_todays() -> None:
    assert table_of_settings("en") == markdown().splitlines()


def test_the_chinese_table_has_the_same_settings_with_their_meaning_in_chinese() -> None:
    rows = [row.rsplit(" | ", 1) for row in table_of_settings("zh")[2:]]
    today = [row.rsplit(" | ", 1) for row in markdown().splitlines()[2:]]
    assert [setting for setting, _ in rows] == [setting for setting, _ in today]
    for (setting, meaning), (_, english) in zip(rows, today, strict=True):
        assert re.search(r"[\u4e00-\u9fff]{2}", meaning), setting
        assert set(re.findall(r"`[^`]+`", english)) <= set(re.findall(r"`[^`]+`", meaning)), setting
