"""CSV and TSV: cut into chunks where their reader ends a record, and no row passed on that was not searched."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.deid import FileFormat
from services.runtime.deid import policies
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.policies import Policy
from services.runtime.deid.refusals import FileRefused

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]
PHONES = policies.load(b"{id: phones, version: '1', types: {CN_PHONE: {}}}")  # which takes 40% less for each chunk


def outcome(
    directory: Path, content: bytes, kind: FileFormat = "csv", chunk_bytes: int = 1 << 20, policy: Policy = ZH
) -> tuple[Any, Any]:
    """Of one file: what is written and how many records those are, or the line and the reason of the refusal."""
    (directory / "in").write_bytes(content)
    try:
        report = deidentify_file(
            directory / "in", directory / "out", policy, KEYS, format=kind, chunk_bytes=chunk_bytes
        )
    except FileRefused as refused:
        return refused.line, refused.en
    return (directory / "out").read_bytes(), report.records


@pytest.mark.parametrize(
    ("kind", "content", "records"),
    [
        ("csv", b'phone,size 5"\n13812345678,1\n13912345678,2\nx,a "q"\n13712345678,3\n', 4),
        ("csv", b'phone,size 5"\n13812345678,1\n13912345678,2\n', 2),
        ("csv", b'"phone\nof\n""him""",b\r\n13812345678,"1\r\n13912345678"\r\n', 1),
        ("tsv", b'phone\tb\n13812345678\t"x \n"13912345678"\t"\n', 2),
    ],
)
def test_a_quote_within_a_cell_is_text(tmp_path: Path, kind: FileFormat, content: bytes, records: int) -> None:
    for chunk_bytes in (1, 20, 1 << 20):
        found = outcome(tmp_path, content, kind, chunk_bytes)
        assert isinstance(found, tuple)
        assert found[1] == records
        assert not any(phone in found[0] for phone in (b"13812345678", b"13912345678", b"13712345678"))


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
@pytest.mark.parametrize(
    ("kind", "content", "line"),
    [
        ("csv", b"phone,b\r13812345678,2\r", 1),
        ("csv", b"phone\r13812345678\r\nx\r\n", 1),
        ("tsv", b"phone\tb\r13812345678\t2\r", 1),
        ("csv", b"phone,b\n1,2\n13812345678,2\r1,2\n", 3),
    ],
)
def test_other_line_ends_are_refused(
    tmp_path: Path, kind: FileFormat, content: bytes, line: int, chunk_bytes: int
) -> None:
    assert outcome(tmp_path, content, kind, chunk_bytes) == (line, "has a CR without LF, which ends no line")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(rows=st.lists(st.text(alphabet='",\n\r a1', max_size=12), max_size=5))
def test_no_size_of_chunks_makes_a_difference(tmp_path: Path, rows: list[str]) -> None:
    """Also not to where and why a file is refused."""
    content = ("a,b\n" + "\n".join(rows)).encode()
    whole = outcome(tmp_path, content, policy=PHONES)
    for chunk_bytes in (1, 2, 5, 11):
        assert outcome(tmp_path, content, chunk_bytes=chunk_bytes, policy=PHONES) == whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    notes=st.lists(st.text(alphabet=',"\r\n a', max_size=6), min_size=1, max_size=4),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    ended=st.booleans(),
)
def test_rows_stay_rows(tmp_path: Path, notes: list[str], end: str, quoting: Literal[0, 1], *, ended: bool) -> None:
    """Whatever line ends their cells hold, and whether or not the last row has one."""
    rows = [["手机", "note"], *(["13812345678", note] for note in notes)]
    lines = []
    for row in rows:
        line = io.StringIO(newline="")
        csv.writer(line, quoting=quoting, lineterminator="\r\n").writerow(row)
        lines.append(line.getvalue()[:-2])
    written, count = outcome(tmp_path, (end.join(lines) + end * ended).encode())
    assert count == len(notes)
    header, *after = csv.reader(io.StringIO(written.decode(), newline=""), strict=True)
    assert header == rows[0]
    assert [note for _, note in after] == notes
    assert "13812345678" not in written.decode()
    assert written.decode().endswith(end) or not ended


@pytest.mark.parametrize(
    "content",
    ["note,微信\n" + "zhangsan_88,x\n" * 3, "电话,密码\n623456,1\n623456,1\n", "a,姓名\n王小明,姓名\n王小明,姓名\n"],
)
def test_a_cell_says_nothing_of_the_next(tmp_path: Path, content: str) -> None:
    """Nor does the name of another column, wherever chunks begin."""
    rows: dict[str, dict[str, str]] = {kind: {} for kind in ("PERSON", "WECHAT", "API_KEY", "PHONE")}
    policy = policies.load(json.dumps({"id": "names", "version": "1", "types": rows}).encode())
    (tmp_path / "in.csv").write_text(content, encoding="utf-8")
    for chunk_bytes in (1, 1 << 20):
        deidentify_file(tmp_path / "in.csv", tmp_path / "out", policy, KEYS, chunk_bytes=chunk_bytes)
        _, *after = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
        assert len(set(after)) == 1
        if not content.startswith("电话"):
            assert after[0].split(",")[0] == content.splitlines()[1].split(",")[0]


def test_blank_lines_stay(tmp_path: Path) -> None:
    found = outcome(tmp_path, "\n电话,b\r\n\r\n1,2\n\n".encode())
    assert found == ("\n电话,b\r\n\r\n1,2\n\n".encode(), 1)
    assert outcome(tmp_path, b"a\n\n\nb\n") == (b"a\n\n\nb\n", 1)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1.3812345678E10", "13812345678"),
        ("1.3812345678e+10", "13812345678"),
        (" 13812345678.00e0 ", " 13812345678 "),
        ("6.222021234567891e+18", "6222021234567891000"),
        ("-1.3812345678E10", "-13812345678"),
    ],
)
def test_a_number_with_an_exponent_is_what_it_stands_for(tmp_path: Path, cell: str, value: str) -> None:
    separators: dict[FileFormat, str] = {"csv": ",", "tsv": "\t"}
    for kind, apart in separators.items():
        for column in ("手机", "n"):
            spelled = outcome(tmp_path, f"{column}{apart}b\n{cell}{apart}2\n".encode(), kind)
            plain = outcome(tmp_path, f"{column}{apart}b\n{value}{apart}2\n".encode(), kind)
            assert spelled == plain
            assert value.strip().encode() not in spelled[0]


@pytest.mark.parametrize("cell", ["1.5e9", "1.381234567812E3", "2e10", "12.5e4", "1.3812345678e-3"])
def test_a_measure_with_an_exponent_stays_as_it_is(tmp_path: Path, cell: str) -> None:
    assert outcome(tmp_path, f"n,b\n{cell},2\n".encode()) == (f"n,b\n{cell},2\n".encode(), 1)


@pytest.mark.parametrize("kinds", [("csv", "tsv"), ("tsv", "csv")])
def test_a_table_is_read_as_it_is_separated_whatever_its_name(
    tmp_path: Path, kinds: tuple[FileFormat, FileFormat]
) -> None:
    """As whatever checks an upload reads it."""
    named, true = kinds
    content = 'n,手机,note\r\n"1",13812345678,\r\n2,13912345678,"x ""y"""\r\n'.replace(
        ",", "\t" if true == "tsv" else ","
    )
    (tmp_path / f"in.{named}").write_text(content, encoding="utf-8", newline="")
    (tmp_path / f"in.{true}").write_text(content, encoding="utf-8", newline="")
    for chunk_bytes in (1, 1 << 20):
        for kind in kinds:
            source, target = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
            deidentify_file(source, target, ZH, KEYS, fields=["手机"], chunk_bytes=chunk_bytes)
        assert (tmp_path / f"out.{named}").read_bytes() == (tmp_path / f"out.{true}").read_bytes()
    assert "13812345678" not in (tmp_path / f"out.{named}").read_text(encoding="utf-8")


@pytest.mark.parametrize("delimiter", [";", "|", "\t", ","])
def test_tables_keep_their_delimiter(tmp_path: Path, delimiter: str) -> None:
    """And have columns by name, cells of several lines, and rows in which nothing changes as they were."""
    same = '"x; ,|";"y";\r\n' if delimiter != "\t" else '"x";y;\r\n'
    content = f'note;"手机";密码\r\n{same}a;13812345678;\r\n"b";"13912345678";Zs19880101\r\n'
    if delimiter != "\t":
        content += '"c\n""d"";|,";13712345678;""\r\n'
    if delimiter != ";":
        content = re.sub(r'("[^"]*")|;', lambda found: found[1] or delimiter, content)
    (tmp_path / "in.csv").write_text(content, encoding="utf-8", newline="")
    for fields in (None, ["手机"]):
        for chunk_bytes in (1, 1 << 20):
            report = deidentify_file(
                tmp_path / "in.csv", tmp_path / "out", ZH, KEYS, fields=fields, chunk_bytes=chunk_bytes
            )
            after = (tmp_path / "out").read_bytes().decode()
            assert report.records == content.count("\r\n") - 1
            assert report.counts["CN_PHONE"] == content.count("13")
            assert ("Zs19880101" in after) == (fields is not None)
            blank = re.compile(r"[0-9]{11}|(?<=[^0-9a-zA-Z])[A-Z][a-z][0-9]{8}")
            assert blank.sub("", after) == blank.sub("", content)


def test_a_changed_cell_alone_is_written_anew(tmp_path: Path) -> None:
    """With quotes where it had some or needs them."""
    policy = policies.load(b"{id: p, version: '1', types: {CN_PHONE: {action: redact}, DATE: {action: replace}}}")
    (tmp_path / "in.csv").write_text('"a",b\n"13812345678",x\n"y",13812345678\nz,"13812345678"\n')
    deidentify_file(tmp_path / "in.csv", tmp_path / "out", policy, KEYS)
    assert (tmp_path / "out").read_text() == '"a",b\n"",x\n"y",\nz,""\n'
    (tmp_path / "in.csv").write_text("a\n13812345678\n")
    deidentify_file(tmp_path / "in.csv", tmp_path / "out", policy, KEYS)
    assert (tmp_path / "out").read_text() == 'a\n""\n'


def test_quotes_around_cells_of_tsv_are_none_of_their_values(tmp_path: Path) -> None:
    content = '"id"\t"微信"\n"1"\t"zhangsan_88"\n'.encode()
    (tmp_path / "in").write_bytes(content)
    deidentify_file(tmp_path / "in", tmp_path / "out", ZH, KEYS, format="tsv", fields=["微信"])
    header, row = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
    assert header == '"id"\t"微信"'
    assert row.startswith('"1"\t"')
    assert "zhangsan_88" not in row
    assert outcome(tmp_path, b"a\tb\n1\xff\t2\n", "tsv") == (2, "is not valid UTF-8")
    assert outcome(tmp_path, b"a\tb\n1\n", "tsv") == (2, "has another number of columns than the header")


@pytest.mark.parametrize("delimiter", [";", "|"])
@pytest.mark.parametrize(
    ("rows", "records"),
    [
        ([f'{n};zs_{n + 1000};"first line\nsecond line, or\nthird"' for n in range(30)], 30),
        (["1;zs_1000;a", "2;zs_1001;b;c", "3;zs_1002;d"], None),
        (['1;zs_1000;"a'], None),
    ],
    ids=["lines", "ragged", "open"],
)
def test_rows_that_differ_hide_no_delimiter(
    tmp_path: Path, delimiter: str, rows: list[str], records: int | None
) -> None:
    content = "\n".join(["id;微信;note", *rows, ""]).replace(";", delimiter).encode()
    found = outcome(tmp_path, content)
    if records is None:
        assert not isinstance(found[0], bytes)
    else:
        assert found[1] == records
        assert b"zs_" not in found[0]
        assert [len(row) for row in csv.reader(io.StringIO(found[0].decode()), delimiter=delimiter)] == [3] * 31


def test_quotes_that_are_double_in_quotes_of_tsv_are_single(tmp_path: Path) -> None:
    cells = ['{"password": "hunter2abc", "手机": "13812345678"}', 'api_key="wq82mZpx91Lk"', 'say "x"']
    content = "id\tinput\n" + "".join(f'1\t"{cell.replace(chr(34), 2 * chr(34))}"\n' for cell in cells)
    new, _ = outcome(tmp_path, content.encode(), "tsv")
    changed = [row[1] for row in csv.reader(io.StringIO(new.decode()), delimiter="\t")][1:]
    assert list(json.loads(changed[0])) == ["password", "手机"]
    assert not any(secret in new for secret in (b"hunter2abc", b"13812345678", b"wq82mZpx91Lk"))
    assert changed[2] == cells[2]
