"""Logs of deployments: read from any byte, and kept from filling the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.deployment import logs
from tests.deployments.place import Place
from tests.training.ledger import until

MIB = 2**20
LINE = b"x" * 99 + b"\n"


def on_disk(log: Path) -> int:
    return log.stat().st_blocks * 512


def test_what_is_given_back_moves_nothing(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    text = b"".join(b"%098d\n" % number for number in range(60_000))
    log.write_bytes(text)
    logs.trim(log, 2 * MIB)
    assert on_disk(log) <= 3 * MIB + 4096
    assert logs.size(log) == len(text)
    start, data = logs.read(log, 0, 50)
    assert 3 * MIB <= start <= len(text) - 2 * MIB
    assert data == text[start : start + 50]
    assert logs.read(log, start + 10, 50) == (start + 10, text[start + 10 : start + 60])
    assert logs.read(log, -99, 200) == (len(text) - 99, text[-99:])
    assert logs.read(log, len(text) + 5, 10) == (len(text), b"")
    assert logs.last_lines(log, 1) == (f"{59_999:098d}",)
    with log.open("ab") as more:
        more.write(3 * MIB * b"y")
    logs.trim(log, 2 * MIB)
    assert on_disk(log) <= 3 * MIB + 4096
    assert logs.read(log, 0, 1)[0] > start


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(LINE)
    logs.trim(log, MIB)
    assert logs.read(log, 0, 1000) == (0, LINE)
    log.write_bytes(b"")
    logs.trim(log, MIB)
    assert logs.read(log, 0, 1000) == (0, b"")
    with pytest.raises(FileNotFoundError):
        logs.trim(tmp_path / "none.log", MIB)


def test_the_last_lines_are_those_of_a_part(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"one\ntwo\nthree\n")
    assert logs.last_lines(log, 2) == ("two", "three")
    assert logs.last_lines(log, 5, since=4) == ("two", "three")
    assert logs.last_lines(log, 5, until=7) == ("one", "two")
    assert logs.last_lines(log, 5, longest=6) == ("three",)
    assert logs.last_lines(log, 5, since=14) == logs.last_lines(tmp_path / "none.log", 5) == ()
    assert logs.line_start(log, 2) == 4


@pytest.mark.slow
async def test_a_server_that_prints_on_and_on_does_not_fill_the_disk(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_TRIM_LOOK", 0.05)
    script = place.data / "serve.sh"
    script.write_text("for ((i = 0; i < 80; i++)); do head -c 100000 /dev/zero | tr '\\0' x; echo; done; sleep 600")
    place.settings |= {"template": f"bash {script} {{model_path}} {{port}}", "log_bytes": MIB}
    async with place.served():
        deployment_id = await place.create()
        log = place.node().attempt(deployment_id, 1).log
        await until(lambda: logs.size(log) == 80 * 100_001 and on_disk(log) <= 2 * MIB + 4096)
