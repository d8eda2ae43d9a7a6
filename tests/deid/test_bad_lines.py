"""Lines that cannot be read: named by their number, never by their content, left out only where a policy says so."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.files import FileFormat, deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import FileRefused, TextRefused

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]

BAD: list[tuple[FileFormat, bytes, int]] = [
    ("jsonl", b'{"a":"1"}\n{"a":"13812345678"\n{"a":"2"}\n', 2),
    ("jsonl", b'{"a":"1"}\n{"a":"\xff13812345678"}\n', 2),
    ("jsonl", b'{"a":"1"} {"a":"2"}\n\n', 1),
    ("jsonl", b'[1,\n2]\n', 1),
    ("json", b'{"a":\n"1"}\n{"a":"13812345678"}\n', 3),
    ("json", b'{\n"a":"13812345678"\n"b":1}', 3),
    ("json", b'{\n"a":"13812345678",\n', 2),
    ("json", b'{\n"a":"13812345678\xff"}', 2),
    ("text", b"fine\nfine\n13812345678 \xff\n", 3),
    ("csv", b'a,b\n1,2\n1,"2\n3"\n1,2,3\n', 5),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "line"), BAD)
def test_bad_lines_fail_with_their_number_and_without_their_content(
    tmp_path: Path, kind: FileFormat, content: bytes, line: int
) -> None:
    source = tmp_path / "data"
    source.write_bytes(content)
    with pytest.raises(FileRefused) as refused:
        deidentify_file(source, tmp_path / "out", ZH, KEYS, format=kind, chunk_bytes=8)
    assert refused.value.line == line
    assert "138" not in refused.value.zh + refused.value.en
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(("kind", "content", "line"), [bad for bad in BAD if bad[0] != "json"])
def test_bad_lines_are_left_out_where_the_policy_says_so(
    tmp_path: Path, kind: FileFormat, content: bytes, line: int
) -> None:
    source = tmp_path / "data"
    source.write_bytes(content)
    lenient = msgspec.structs.replace(ZH, bad_lines="quarantine")
    report = deidentify_file(source, tmp_path / "out", lenient, KEYS, format=kind)
    assert report.quarantined_lines[0] == line
    assert report.quarantined == len(report.quarantined_lines)
    assert b"13812345678" not in (tmp_path / "out").read_bytes()


_HALF = r'{"a": "\ud800"}'
_DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    ("kind", "content", "line", "reason"),
    [
        *((kind, f'\n{bad}{end}', 2, "has half of an escaped surrogate pair") for kind in ("jsonl", "json")
          for bad in (_HALF, r'{"a": "\udc00 13812345678"}', r'["\ud800\u0041"]', r'["\ud83d\n"]')
          for end in ("", "\n\n")),
        ("json", f'[1,\n{_HALF},\n2]', 2, "has half of an escaped surrogate pair"),
        ("json", f'[1,\n2,\n{_HALF},x]', 3, "has half of an escaped surrogate pair"),
        ("json", f'[1,\nx,{_HALF}]', 2, "is not valid JSON"),
        ("json", '{"a":\n"\\ud8', 2, "is not valid JSON"),
        ("jsonl", f"1\n{_DEEP}\n", 2, "is nested too deeply"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_what_is_wrong_with_json_is_told(
    tmp_path: Path, kind: FileFormat, content: str, line: int, reason: str, chunk_bytes: int
) -> None:
    (tmp_path / "data").write_text(content)
    with pytest.raises(FileRefused) as refused:
        deidentify_file(tmp_path / "data", tmp_path / "out", ZH, KEYS, format=kind, chunk_bytes=chunk_bytes)
    assert (refused.value.line, str(refused.value)) == (line, f"line {line}: {reason}")


@pytest.mark.parametrize(
    ("text", "zh"), [(_HALF, "转义的代理字符不成对"), (_DEEP, "嵌套过深"), ('"\\ud83d\\ude00', "不是有效的 JSON")]
)
def test_what_is_wrong_with_a_text_that_should_be_json_is_told(text: str, zh: str) -> None:
    with pytest.raises(TextRefused) as refused:
        Deidentifier(ZH, KEYS).texts(["1", text], format="json")
    assert (refused.value.wrong.pointer, refused.value.wrong.zh) == ("/text/1", zh)


def test_only_the_first_hundred_lines_left_out_are_named(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"a,b\n" + b"1\n" * 150 + b"1,2\n")
    lenient = msgspec.structs.replace(ZH, bad_lines="quarantine")
    report = deidentify_file(tmp_path / "data.csv", tmp_path / "out", lenient, KEYS)
    assert (report.records, report.quarantined, report.quarantined_lines) == (1, 150, tuple(range(2, 102)))


_SECRET = "phone 13812345678 id 11010519491231002X\n"


@pytest.mark.parametrize("bad_lines", ["fail", "quarantine"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("kind", ["text", "csv", "tsv", "json", "jsonl"])
def test_other_encodings_do_not_pass_as_text(tmp_path: Path, kind: FileFormat, encoding: str, bad_lines: str) -> None:
    policy = msgspec.structs.replace(ZH, bad_lines=bad_lines)
    (tmp_path / "data").write_bytes((_SECRET * 3).encode(encoding))
    if kind == "jsonl" and bad_lines == "quarantine":
        deidentify_file(tmp_path / "data", tmp_path / "out", policy, KEYS, format=kind)
        assert not (tmp_path / "out").read_bytes()
    else:
        with pytest.raises(FileRefused) as refused:
            deidentify_file(tmp_path / "data", tmp_path / "out", policy, KEYS, format=kind)
        assert refused.value.line == 1
        assert ("UTF-16" in refused.value.en) is (kind in ("text", "csv", "tsv"))


@pytest.mark.parametrize("kind", ["text", "csv", "tsv"])
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_a_nul_is_told_with_its_line(tmp_path: Path, kind: FileFormat, chunk_bytes: int) -> None:
    (tmp_path / "data").write_bytes(b"a\n1\n2\0\n3\xff\n")
    with pytest.raises(FileRefused, match="line 3: has a NUL byte"):
        deidentify_file(tmp_path / "data", tmp_path / "out", ZH, KEYS, format=kind, chunk_bytes=chunk_bytes)


def test_what_cannot_be_read_on_is_never_left_out(tmp_path: Path) -> None:
    lenient = msgspec.structs.replace(ZH, bad_lines="quarantine")
    broken: dict[FileFormat, bytes] = {"json": b'{"a":', "csv": b'a,b\n1,"2"x\n1,2\n'}
    for kind, content in broken.items():
        (tmp_path / "data").write_bytes(content)
        with pytest.raises(FileRefused):
            deidentify_file(tmp_path / "data", tmp_path / "out", lenient, KEYS, format=kind)
