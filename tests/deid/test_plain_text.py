"""Plain text: a line speaks for the next, wherever blocks and chunks end."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.files import Report, deidentify_file, formats
from services.runtime.deid.keys import Keys
from tests.deid.corpus.chinese import corpus

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]
PEM = "-----BEGIN PRIVATE KEY-----\n" + "MC4CAQAwBQYDK2VwBCIEIabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP\n" * 2
SECRETS = ("zhangsan_88", "EA1234567", "Zs19880101", "62345678", "623456", "001A2B3C4D5E", "MC4CAQAwBQYDK2VwBCIEI")
TEXT = (
    "微信号：\nzhangsan_88\n护照号：\nEA1234567\n密码：\nZs19880101\n客服电话\n62345678\n手机号：\n１３８１２３４５６７８\n"
    f"传真\n623456\nMAC\n001A2B3C4D5E\n\n{PEM}shortend==\n"
)


def done(
    source: Path, workers: int = 1, chunk_bytes: int = 1 << 20, policy: policies.Policy = ZH
) -> tuple[str, Report]:
    report = deidentify_file(
        source, source.with_name("out"), policy, KEYS, format="text", workers=workers, chunk_bytes=chunk_bytes
    )
    return source.with_name("out").read_text(encoding="utf-8"), report


def test_a_file_hides_what_its_text_hides(tmp_path: Path) -> None:
    source = tmp_path / "data.txt"
    for text in (TEXT, TEXT.replace("\n", "\r\n"), TEXT.rstrip()):
        source.write_bytes(text.encode())
        found, report = done(source)
        result = Deidentifier(ZH, KEYS).texts([text])
        assert source.with_name("out").read_bytes().decode() == result.texts[0]
        assert report.counts == result.counts
        assert not any(secret in found for secret in SECRETS)
        assert report.records == len([line for line in text.splitlines() if line])


@pytest.mark.parametrize("block", [1, 64, 300])
def test_neither_seams_nor_chunks_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Of the chunks nothing shows; a seam takes no line's word from the next."""
    monkeypatch.setattr(formats, "BLOCK", block)
    source = tmp_path / "data.txt"
    source.write_text("\ufeff" + TEXT * 9, encoding="utf-8")
    whole = done(source)
    assert not any(secret in whole[0] for secret in SECRETS)
    for chunk_bytes in (1, 1000):
        assert done(source, chunk_bytes=chunk_bytes) == whole
    monkeypatch.setattr(formats, "CONTEXT", 30)  # which cuts words, and characters
    whole = done(source)
    for chunk_bytes in (1, 1000):
        assert done(source, chunk_bytes=chunk_bytes) == whole


def test_other_processes_know_what_precedes(tmp_path: Path, handed: list[Any]) -> None:
    rng, source = random.Random(5), tmp_path / "data.txt"
    texts = [sample.text for sample in corpus(5, 300)] + [TEXT] * 300
    source.write_text("\n".join(rng.choices(texts, k=5000)), encoding="utf-8")
    assert source.stat().st_size > 4 * formats.BLOCK
    whole = done(source)
    assert done(source, workers=2, chunk_bytes=1) == whole
    assert handed
    assert done(source, chunk_bytes=300_000) == whole


def test_lines_that_are_left_out_are_those_whatever_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "BLOCK", 40)
    source = tmp_path / "data.txt"
    source.write_bytes((TEXT.encode() + b"\n13812345678 \xff\n") * 9)
    lenient = policies.load(b"{id: lenient, version: '1', bad_lines: quarantine, types: {WECHAT: {}, NUMBER: {}}}")
    whole = done(source, policy=lenient)
    lines = TEXT.count("\n") + 2
    assert whole[1].quarantined_lines == tuple(lines * n for n in range(1, 10))
    for chunk_bytes in (1, 100, 1000):
        assert done(source, chunk_bytes=chunk_bytes, policy=lenient) == whole


@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 20])
def test_a_seam_begins_no_text_for_a_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int) -> None:
    monkeypatch.setattr(formats, "BLOCK", 40)
    source = tmp_path / "data.txt"
    source.write_text("E100 x\n" * 200)
    for pattern, count in ((r"^E\d{3}", 1), (r"(?m)^E\d{3}", 200), (r"x\nE\d{3}", 199)):
        own = policies.load(json.dumps({"id": "own", "version": "1", "types": {}, "patterns": [
            {"name": "OWN", "pattern": pattern, "action": "redact"}]}).encode())  # fmt: skip
        found, report = done(source, chunk_bytes=chunk_bytes, policy=own)
        assert report.counts == {"OWN": count}
        assert found.count("E100") == 200 - count
