"""Files: the same bytes whatever the chunks and the processes, and nothing of what is bad passed through."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.field_names import has_number
from services.runtime import durable_files
from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.files import FileFormat, deidentify_file, formats, processes
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import Canceled, FileRefused
from tests.deid.corpus.chinese import corpus

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]
ROOT = Path(__file__).resolve().parents[2]


def records(size: int) -> list[dict[str, object]]:
    rng = random.Random(4)
    return [
        {"id": number, "messages": [{"role": "user", "content": sample.text + "\n\t\"'\\"}], "n": rng.random()}
        for number, sample in enumerate(corpus(9, size))
    ]


def written(path: Path, kind: str, size: int = 300) -> Path:
    given = records(size)
    if kind == "jsonl":
        lines = [json.dumps(record, ensure_ascii=number % 3 == 0) for number, record in enumerate(given)]
        path.write_text("\n".join(lines) + ("\n" if size % 2 else ""), encoding="utf-8")
    elif kind == "csv":
        table = io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["id", "手机", "note"])
        writer.writerows(
            [record["id"], f"1380000{n:04}", f'says "{n}"\nQQ：1234{n:04}'] for n, record in enumerate(given)
        )
        path.write_bytes(table.getvalue().encode())
    else:
        path.write_text("\n".join(str(record["messages"]) for record in given), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_neither_chunks_nor_processes_show_in_the_output(tmp_path: Path, kind: str) -> None:
    source = written(tmp_path / f"data.{kind}", kind)
    whole = deidentify_file(source, tmp_path / "whole", ZH, KEYS)
    assert (tmp_path / "whole").read_bytes() != source.read_bytes()
    assert whole.records == 300
    assert whole.input_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert whole.output_sha256 == hashlib.sha256((tmp_path / "whole").read_bytes()).hexdigest()
    for workers, chunk_bytes in ((1, 100), (1, 5000), (2, 20_000)):
        again = deidentify_file(source, tmp_path / "again", ZH, KEYS, workers=workers, chunk_bytes=chunk_bytes)
        assert again == whole
        assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, "whole", "again"])


def test_a_document_says_nothing_of_the_next(tmp_path: Path) -> None:
    source = tmp_path / "data.jsonl"
    source.write_text('"姓名"\n"王小明"\n"\\u59d3\\u540d"\n"\\u738b\\u5c0f\\u660e"\n', encoding="utf-8")
    policy = policies.load(b"{id: names, version: '1', types: {PERSON: {}, ADDRESS: {}}}")
    for chunk_bytes in (1, 1 << 20):
        deidentify_file(source, tmp_path / "out", policy, KEYS, chunk_bytes=chunk_bytes)
        assert (tmp_path / "out").read_bytes() == source.read_bytes()


def test_other_processes_do_what_this_one_does(tmp_path: Path, handed: list[Any]) -> None:
    source = written(tmp_path / "data.jsonl", "jsonl")
    whole = deidentify_file(source, tmp_path / "whole", ZH, KEYS)
    again = deidentify_file(source, tmp_path / "again", ZH, KEYS, workers=2, chunk_bytes=5000)
    assert handed
    assert again == whole
    assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes()
    source.write_bytes(source.read_bytes() + b"{")
    with pytest.raises(FileRefused):
        deidentify_file(source, tmp_path / "bad", ZH, KEYS, workers=2, chunk_bytes=5000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "data.jsonl", "whole"]


def test_processes_that_died_are_replaced(tmp_path: Path) -> None:
    source = written(tmp_path / "data.jsonl", "jsonl")
    beside = processes.helpers(1)
    beside.wait()
    for child in multiprocessing.active_children():
        child.kill()
        child.join(30)
    deadline = time.monotonic() + 30
    while beside.alive() and time.monotonic() < deadline:
        pass
    assert processes.helpers(1) is not beside
    processes.helpers(1).wait()
    deidentify_file(source, tmp_path / "out", ZH, KEYS, workers=2, chunk_bytes=5000)


def test_only_strings_of_the_chosen_fields_change(tmp_path: Path) -> None:
    line = '{ "a": {"b": "13812345678"},"b":"13812345678", "n": 13812345678,"13912345678":[ "13812345678", {"b":1}] }'
    source = tmp_path / "data.jsonl"
    source.write_text(line + "\n\n" + line)
    deidentify_file(source, tmp_path / "out", ZH, KEYS, fields=["a.b"])
    first, blank, second = (tmp_path / "out").read_text().split("\n")
    assert (first, blank) == (second, "")
    changed = json.loads(first)["a"]["b"]
    assert changed != "13812345678"
    assert first.replace(changed, "13812345678") == line
    deidentify_file(source, tmp_path / "all", ZH, KEYS)
    everything = (tmp_path / "all").read_text()
    assert "13812345678" not in everything
    assert "13912345678" not in everything  # nor as the name of a key
    deidentify_file(source, tmp_path / "inside", ZH, KEYS, fields=["a"])
    assert (tmp_path / "inside").read_text().count("13912345678") == 2
    assert {type(json.loads(text)["n"]) for text in everything.split("\n") if text} == {int}


NUMBERS = (
    '{"phone": 13812345678, "id": 1234567890, "n": 123456, '
    '"tel": [13812345678 ,-13812345678,13812345678.0,1.3812345678E+10], "t": "13812345678"}\n'
    '{"phone":null,"a":{"卡号":6222021234567890128},"b":1.5,"c":[1,2]}\n'
)


def test_numbers_change_like_strings_and_stay_json(tmp_path: Path) -> None:
    source = tmp_path / "data.jsonl"
    source.write_text(NUMBERS, encoding="utf-8")
    report = deidentify_file(source, tmp_path / "out", ZH, KEYS)
    first, second = (json.loads(line) for line in (tmp_path / "out").read_text().splitlines())
    pseudonym = first["phone"]
    assert isinstance(pseudonym, int)
    assert pseudonym != 13812345678
    assert first == {"phone": pseudonym, "id": first["id"], "n": 123456, "t": str(pseudonym),
                     "tel": [pseudonym, -pseudonym, float(pseudonym), pseudonym]}  # fmt: skip
    assert first["id"] != 1234567890
    card = str(second["a"]["卡号"])
    assert len(card) == 19
    assert card != "6222021234567890128"
    assert second == {"phone": None, "a": {"卡号": second["a"]["卡号"]}, "b": 1.5, "c": [1, 2]}
    assert report.counts == {"BANK_CARD": 1, "CN_PHONE": 6, "NUMBER": 1}
    deidentify_file(source, tmp_path / "chosen", ZH, KEYS, fields=["id", "phone"])
    chosen = json.loads((tmp_path / "chosen").read_text().splitlines()[0])
    assert chosen["phone"] == pseudonym
    assert int(chosen["id"]) != 1234567890
    assert chosen["t"] == "13812345678"


@pytest.mark.parametrize(
    ("action", "expected"), [("mask", '"***********"'), ("redact", '""'), ("replace", '"<CN_PHONE>"')]
)
def test_what_is_no_number_any_more_is_a_string(tmp_path: Path, action: str, expected: str) -> None:
    source = tmp_path / "data.jsonl"
    source.write_text('{"t":"13812345678","phone": 13812345678 ,"tel":[13812345678.0]}\n')
    rule = msgspec.structs.replace(ZH.types["CN_PHONE"], action=action)
    policy = msgspec.structs.replace(ZH, types={"CN_PHONE": rule})
    deidentify_file(source, tmp_path / "out", policy, KEYS)
    line = (tmp_path / "out").read_text()
    assert line.startswith(f'{{"t":{expected},"phone": {expected} ,"tel":["{expected[1:-1]}.0"]')


def test_numbers_that_are_nothing_else_stay_numbers(tmp_path: Path) -> None:
    source = tmp_path / "data.json"
    source.write_text(json.dumps({"n": [*range(10_000, 10_400), -7, 0]}))
    deidentify_file(source, tmp_path / "out", policies.built_in()["default"], KEYS, fields=["n"], seed=1)
    values = json.loads((tmp_path / "out").read_text())["n"]
    assert len(set(values)) == 402
    assert all(10_000 <= value < 100_000 for value in values[:400])
    text = json.dumps([1234567890 + n for n in range(200)])
    by = Deidentifier(ZH, KEYS)
    new = by.texts([text], format="json").texts
    assert {type(value) for value in json.loads(new[0])} == {int}
    assert by.reverse(new, format="json").texts == [text]


def test_leading_zeros_become_strings(tmp_path: Path) -> None:
    source = tmp_path / "data.json"
    source.write_text(json.dumps({"卡号": [4222020000000000 + n for n in range(200)]}), encoding="utf-8")
    deidentify_file(source, tmp_path / "out", ZH, KEYS)
    values = json.loads((tmp_path / "out").read_text(encoding="utf-8"))["卡号"]
    assert len({str(value) for value in values}) == 200
    assert all(str(value).startswith("0") for value in values if isinstance(value, str))
    assert 0 < sum(isinstance(value, str) for value in values) < 100


def test_escapes_are_read_and_written_in_their_own_way(tmp_path: Path) -> None:
    source = tmp_path / "data.jsonl"
    text = '手机 13812345678\n"\\u0031" /'
    source.write_text(
        "\n".join(
            [
                json.dumps({"手机": text}),
                json.dumps({"t": text}, ensure_ascii=False),
                r'{"\u0074":"a\/b \u0031381\u0032345678"}',
            ]
        )
    )
    deidentify_file(source, tmp_path / "out", ZH, KEYS)
    lines = (tmp_path / "out").read_text().split("\n")
    values = [next(iter(json.loads(line).values())) for line in lines]
    assert values[0] == values[1]
    assert values[0].startswith("手机 ")
    assert "13812345678" not in values[0]
    assert lines[0].isascii()
    assert values[2].endswith(values[0][3:14])
    assert r"a\/b" in lines[2]


@pytest.mark.parametrize(
    ("header", "fine"),
    [
        ("13812345678,张三", False), ("张三\tzhang@example.com", False),
        ("姓名,电话,20240101,2024-01-02,q1_2024", True),
        ("张三,京A12345,E12345678", False), ("护照E12345678,x", False), ("张三,62345678", False),
        ("00:1A:2B:3C:4D:5E,x", False), ("张三,微信zs_1988,密码abc123", False), ("x,138-1234-9876", False),
        ("sk-proj-abcdefghijklmnopqrstuvwxyzABCDEFG,x", False), ("https://a.com/u/zhangsan,x", False),
        ("text_2024,Q1,col_12345,ipv4,手机号,url,http_status,created_at,身份证号,phone1,v1.2.3,sha256", True),
        ("微信 openid,密码：password_hash,Contact Name,2023-2024学年,wechat_username,QQ号,MAC地址,@id", True),
        ("微信openid2,口令2023,www.url", True),
        ("x,www.example.com", False), ("x,微信openid88", False), ("x,口令2023a7", False),
    ],
)  # fmt: skip
def test_a_first_row_that_is_data_is_refused(tmp_path: Path, header: str, *, fine: bool) -> None:
    source = tmp_path / ("data.tsv" if "\t" in header else "data.csv")
    source.write_text(header + "\n", encoding="utf-8")
    for policy in (ZH, policies.built_in()["default"]):
        if fine or (policy is not ZH and not has_number(header)):
            deidentify_file(source, tmp_path / "out", policy, KEYS)
            assert (tmp_path / "out").read_bytes() == source.read_bytes()
        else:
            with pytest.raises(FileRefused, match="first line") as refused:
                deidentify_file(source, tmp_path / "out", policy, KEYS)
            assert refused.value.line == 1


@pytest.mark.parametrize(
    ("content", "kind", "records"),
    [
        (b'[{"a": 1}, "x", []]', "json", 3),
        (b" \n[]\n", "json", 0),
        (b'{"a": [1, 2]}\n', "json", 1),
        (b'{"a": 1}\n\n{"a": 2}\n', "jsonl", 2),
        (b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}', "jsonl", 2),
    ],
)
def test_what_is_called_json_is_read_as_what_it_is(tmp_path: Path, content: bytes, kind: str, records: int) -> None:
    (tmp_path / "data.json").write_bytes(content)
    for format_ in (None, "json"):
        report = deidentify_file(tmp_path / "data.json", tmp_path / "out", ZH, KEYS, format=format_)
        assert (report.format, report.records) == (kind, records)
        assert (tmp_path / "out").read_bytes() == content


@pytest.mark.parametrize(("kind", "content"), [("jsonl", b'{"a":"1"}\n'), ("csv", b"a,b\n1,2\n")])
def test_a_field_that_is_nowhere_is_refused(tmp_path: Path, kind: FileFormat, content: bytes) -> None:
    (tmp_path / "data").write_bytes(content)
    with pytest.raises(FileRefused, match="no such field: x"):
        deidentify_file(tmp_path / "data", tmp_path / "out", ZH, KEYS, format=kind, fields=["a", "x"])


def test_a_field_is_there_whatever_it_holds(tmp_path: Path) -> None:
    line = '{"a": null, "b": [true, {}], "c": {"d": []}, "e": 1, "f": [[{"g": false}]]}'
    (tmp_path / "in").write_text(f"{line}\n{{}}\n")
    fields = ["a", "b", "c", "c.d", "f.g"]
    assert deidentify_file(tmp_path / "in", tmp_path / "out", ZH, KEYS, format="jsonl", fields=fields).counts == {}
    for missing in ("c.a", "d", "g", "a.a", "f.g.g", "c.e"):
        with pytest.raises(FileRefused, match=f"no such field: {missing}$"):
            deidentify_file(tmp_path / "in", tmp_path / "out", ZH, KEYS, format="jsonl", fields=[*fields, missing])


def test_a_disk_that_fails_meanwhile_fails_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells of it once, and then as little as of data that arrived."""
    source = written(tmp_path / "data.jsonl", "jsonl")

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(durable_files, "_FLUSHED_AT_ONCE", 1)
    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(OSError, match="the disk is broken"):
        deidentify_file(source, tmp_path / "out", ZH, KEYS)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_canceled_work_leaves_nothing(tmp_path: Path) -> None:
    source = written(tmp_path / "data.jsonl", "jsonl")
    canceled, told = threading.Event(), []

    def progress(done: int, size: int) -> None:
        told.append((done, size))
        canceled.set()

    with pytest.raises(Canceled):
        deidentify_file(source, tmp_path / "out", ZH, KEYS, progress=progress, canceled=canceled, chunk_bytes=2000)
    assert len(told) == 1
    assert 0 < told[0][0] < told[0][1] == source.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


_KILLED = """
import os, sys
from pathlib import Path
from services.runtime.deid import policies
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
if __name__ == "__main__":
    def progress(done, size):
        print("progress", flush=True)
        if done > size // 2:
            sys.stdin.read()
    deidentify_file(Path(sys.argv[1]), Path(sys.argv[2]), policies.built_in()["zh-pii"],
                    Keys(b"a secret of this installation"), workers=2, chunk_bytes=4000, progress=progress)
"""


@pytest.mark.chaos
def test_killed_and_begun_again_it_is_the_same(tmp_path: Path) -> None:
    source = written(tmp_path / "data.jsonl", "jsonl")
    script = tmp_path / "killed.py"
    script.write_text(_KILLED)
    child = subprocess.Popen(
        [sys.executable, str(script), str(source), str(tmp_path / "out")],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == b"progress\n"
    child.send_signal(signal.SIGKILL)
    # The end of the output tells that the pool's processes, which share it, have ended too.
    child.stdout.read()
    child.communicate()
    assert not (tmp_path / "out").exists()
    deidentify_file(source, tmp_path / "out", ZH, KEYS)
    deidentify_file(source, tmp_path / "other", ZH, KEYS, workers=2, chunk_bytes=4000)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "other").read_bytes()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", ["jsonl", "text", "csv"])
@pytest.mark.parametrize("chunk_bytes", [1, 10, 1_000])
def test_a_record_may_be_long_but_not_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: FileFormat, chunk_bytes: int
) -> None:
    monkeypatch.setattr(formats, "LONGEST_RECORD", 2_000)

    def made(length: int) -> bytes:
        value = "手机 13812345678 " + "x" * length
        line = json.dumps({"a": value}) if kind == "jsonl" else f'"{value}"' if kind == "csv" else value
        return ("a\n" * (kind == "csv") + f"{line}\n" * 3 + line).encode()

    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(made(1_500))
    deidentify_file(source, target, ZH, KEYS, format=kind, chunk_bytes=chunk_bytes)
    assert target.stat().st_size == source.stat().st_size
    assert b"13812345678" not in target.read_bytes()
    source.write_bytes(made(2_100))
    with pytest.raises(FileRefused, match="a record has more than"):
        deidentify_file(source, target, ZH, KEYS, format=kind, chunk_bytes=chunk_bytes)


def test_a_json_document_has_a_limit_and_records_in_json_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "LONGEST_RECORD", 2_000)
    records = [json.dumps({"a": "手机 13812345678"})] * 100
    (tmp_path / "data.json").write_text(f'{{"a":[{",".join(records)}]}}')
    with pytest.raises(FileRefused, match=r"a JSON document has more than .* as an array of records, or JSONL"):
        deidentify_file(tmp_path / "data.json", tmp_path / "out", ZH, KEYS)
    for content in ("\n".join(records), f"[{','.join(records)}]"):
        (tmp_path / "data.json").write_text(content)
        assert deidentify_file(tmp_path / "data.json", tmp_path / "out", ZH, KEYS).records == 100
