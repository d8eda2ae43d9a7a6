"""What is told of the content of files, good and broken ones."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from contracts.dataset_checks import FINDINGS, sentence
from services.datasets.checking.fields import Field
from services.datasets.checking.findings import Problem
from tests.datasets.checked import checked, jsonl

ALPACA = {"instruction": "写诗", "input": "", "output": "春眠不觉晓"}
TURNS = {"conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "你好！"}]}
MESSAGES = {"messages": [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好！"}]}
TOOLS = {"messages": [{"role": "assistant", "tool_calls": [{"name": "f"}]}, {"role": "tool", "content": "1"}]}
IMAGES = {"messages": [{"role": "user", "content": [{"type": "image"}]}]}
TEXT = {"text": "床前明月光"}
PAIRS = [
    {"prompt": "p", "chosen": "a", "rejected": "b"},
    {"instruction": "p", "input": "", "chosen": "a", "rejected": "b"},
    TURNS | {"chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}},
    {"chosen": MESSAGES["messages"], "rejected": MESSAGES["messages"]},
    {"question": "p", "response_j": "a", "response_k": "b"},
    {"instruction": "p", "input": "", "output": ["a", "b"]},
]


@pytest.mark.parametrize(
    ("record", "training_format"),
    [
        (ALPACA, "alpaca"),
        ({"instruction": "a", "output": "b", "history": [["c", "d"]]}, "alpaca"),
        (TURNS, "sharegpt"),
        (MESSAGES, "sharegpt"),
        (TOOLS, "sharegpt"),
        (IMAGES, "sharegpt"),
        *((pair, "preference") for pair in PAIRS),
        (TEXT, "text"),
        ({"conversations": []}, None),
        ({"conversations": "你好"}, None),
        ({"messages": [{"role": "user"}]}, None),
        ({"chosen": "a", "rejected": 7}, None),
        ({"instruction": "a"}, None),
        ({"text": 7}, None),
        ({}, None),
    ],
    ids=str,
)
def test_training_formats_are_told_by_the_fields(tmp_path: Path, record: object, training_format: str | None) -> None:
    for name, content in (("data.jsonl", jsonl(record, record)), ("data.json", f"[{jsonl(record).strip()}]")):
        found = checked(tmp_path, name, content)
        assert (found.verdict, found.training_format) == ("valid", training_format)


def test_that_of_most_records_counts_and_the_others_are_told(tmp_path: Path) -> None:
    found = checked(tmp_path, "data.jsonl", jsonl(ALPACA, TEXT, ALPACA, ALPACA, {"a": 1}))
    assert (found.verdict, found.training_format) == ("valid", "alpaca")
    assert found.problems == (Problem(2, "other_shape"), Problem(5, "other_shape"))
    assert checked(tmp_path, "data.jsonl", jsonl(ALPACA, TEXT)).training_format is None


JSON_LINES = jsonl(ALPACA, ALPACA)
TABLE = 'instruction,output\n写诗,"春眠\n不觉晓"\na,"b ""c"""\n'


@pytest.mark.parametrize(
    ("name", "content", "format_", "records"),
    [
        ("data.jsonl", JSON_LINES, "jsonl", 2),
        ("data", JSON_LINES, "jsonl", 2),
        ("data.json", JSON_LINES, "jsonl", 2),
        ("data.txt", JSON_LINES, "jsonl", 2),
        ("data.jsonl", JSON_LINES.replace("\n", "\r\n") + "\r\n\r\n", "jsonl", 2),
        ("data.jsonl", JSON_LINES.rstrip(), "jsonl", 2),
        ("data", jsonl(ALPACA), "jsonl", 1),
        ("data.json", jsonl(ALPACA), "json", 1),
        ("data.json", f"[{JSON_LINES.strip().replace(chr(10), ',')}]", "json", 2),
        ("data.jsonl", f"[{JSON_LINES.strip().replace(chr(10), ',')}]", "json", 2),
        ("data", f"[\n  {JSON_LINES.strip().replace(chr(10), ' ,' + chr(10))}\n]\n", "json", 2),
        ("data.json", '{\n  "instruction": "a",\n  "output": "b"\n}', "json", 1),
        ("data.csv", TABLE, "csv", 2),
        ("data", TABLE, "csv", 2),
        ("data.csv", TABLE.replace("\n", "\r\n"), "csv", 2),
        ("data.csv", "a;b\n1;2\n", "csv", 1),
        ("data.csv", "text\n床前明月光\n", "csv", 1),
        ("data.tsv", "instruction\toutput\na\tb, c\n", "tsv", 1),
        ("data", "instruction\toutput\na\tb\n", "tsv", 1),
        ("data.csv", "instruction\tinput\toutput\r\na\tb\t\r\n", "tsv", 1),
        ("data.tsv", 'text\tn\n"a\t1\n"b" c\t"2"\n', "tsv", 2),
        ("data.txt", "床前明月光，\n\n疑是地上霜。\n", "text", 2),
        ("data.txt", "a,b\n1,2\n", "text", 2),
        ("data.md", "[链接](https://example.com)\n", "text", 1),
        ("data.md", "{{ template }}\n", "text", 1),
        ("data", "Once upon a time, there was.\nIt was, so to speak.\n", "text", 2),
        ("data.zip", b"PK\x03\x04" + bytes(60), "other", None),
        ("data.tar", bytes(257) + b"ustar\x0000" + bytes(300), "other", None),
    ],
)
def test_formats_are_told_by_the_content(
    tmp_path: Path, name: str, content: str | bytes, format_: str, records: int | None
) -> None:
    found = checked(tmp_path, name, content)
    assert (found.verdict, found.format, found.records) == ("valid", format_, records)


@pytest.mark.parametrize(
    ("name", "content", "reason", "lines"),
    [
        ("data.jsonl", JSON_LINES + '{"a": \n\n' + JSON_LINES, "json_syntax", [3]),
        ("data.jsonl", "instruction,output\n", "json_syntax", [1]),
        ("data.jsonl", '{"a": 1}\n[1]\n"a"\n7\n', "not_an_object", [2, 3, 4]),
        ("data.jsonl", '{"a": NaN}\n{"a": Infinity}\n{"a": 01}\n', "json_syntax", [1, 2, 3]),
        ("data.jsonl", "{'a': 1}\n", "json_syntax", [1]),
        ("data.json", "[]", "no_records", []),
        ("data.json", "hello", "json_syntax", []),
        ("data.json", '[{"a": 1},', "json_truncated", []),
        ("data.json", '[\n{"a": 1},\n{"a" 1},\n7]', "json_syntax", [3, 4]),
        ("data.json", '[{"a": 1}] []', "json_syntax", []),
        ("data.json", '{"a": 1, "b": [1, 2}', "json_truncated", []),
        ("data.json", '{"a": 1, "b": 2,}', "json_syntax", [1]),
        ("data.json", '{"a": 1,\n"a": 2}', "duplicate_key", [2]),
        ("data.csv", "a,b\n1,2\n3\n4,5,6\n\n", "ragged_row", [3, 4]),
        ("data.csv", 'a,b\n1,"2\n3,4\n', "open_quote", [2]),
        ("data.csv", 'a,b\n1,"2"x\n3,4\n', "csv_syntax", [2]),
        ("data.csv", "a,a\n1,2\n", "duplicate_column", [1]),
        ("data.csv", "a,b\n", "no_records", []),
        ("data.csv", b"a,b\n1,\xb4\xb2\xc7\xb0\xc3\xf7\xd4\xc2\n", "gbk", [2]),
        ("data.txt", "床前明月光\n疑是地上霜\n".encode("gb18030"), "gbk", [1, 2]),
        ("data.jsonl", jsonl(ALPACA).encode("gbk"), "gbk", [1]),
        ("data.txt", b"abc\n\xff\xfe\x80\n", "not_utf8", [2]),
        ("data.txt", "床前明月光".encode("utf-16"), "utf16", []),
        ("data.jsonl", jsonl(ALPACA).encode("utf-16-le"), "utf16", []),
        ("data.txt", b"a\n\0\n", "null_byte", [2]),
        ("data.csv", b"a,b\n1,\0\n2,3\n", "null_byte", [2]),
        ("data.jsonl", b'{"a": "\0"}\n', "null_byte", [1]),
        ("data.bin", bytes(range(256)) * 10, "binary", []),
        ("data.txt", " \n\t\n", "no_records", []),
        ("data.jsonl", "\n\n", "no_records", []),
        ("data.jsonl", b"", "empty", []),
        ("data.jsonl", '{"a": "\\ud800"}\n', "lone_surrogate", [1]),
        ("data.jsonl", '{"a": %s}\n' % ("1" * 10_000), "number_too_long", [1]),
        ("data.jsonl", '{"a": 1, "a": 2}\n', "duplicate_key", [1]),
        ("data.jsonl", '{"b": [{"a": 1, "a": 2}]}\n', "duplicate_key", [1]),
    ],
)
def test_broken_files_are_invalid_with_the_reason_and_the_lines(
    tmp_path: Path, name: str, content: str | bytes, reason: str, lines: list[int]
) -> None:
    found = checked(tmp_path, name, content)
    assert (found.verdict, found.reason) == ("invalid", reason)
    assert [problem.line for problem in found.problems] == lines
    assert found.bad_records == len(lines)


def test_fields_with_their_types_and_how_often_they_are_there(tmp_path: Path) -> None:
    found = checked(tmp_path, "data.jsonl", jsonl({"a": 1, "b": None}, {"a": 1.5}, {"a": True, "c": [{}], "d": {}}))
    assert found.fields == (
        Field("a", ("boolean", "integer", "number"), 3),
        Field("b", ("null",), 1),
        Field("c", ("array",), 1),
        Field("d", ("object",), 1),
    )
    found = checked(tmp_path, "data.csv", "a,b\n1,\n2,x\n")
    assert found.fields == (Field("a", ("string",), 2), Field("b", ("string",), 1))
    found = checked(tmp_path, "data.tsv", '"a"\tb\n1\t"\n')
    assert found.fields == (Field("a", ("string",), 1), Field("b", ("string",), 1))


def test_a_byte_order_mark_is_told_and_no_hindrance(tmp_path: Path) -> None:
    for name, content in (("d.jsonl", JSON_LINES), ("d.json", f"[{jsonl(ALPACA)}]"), ("d.csv", TABLE), ("d.txt", "a")):
        found = checked(tmp_path, name, "\ufeff" + content)
        assert (found.verdict, found.problems) == ("valid", (Problem(1, "byte_order_mark"),))
        assert not any(field.name.startswith("\ufeff") for field in found.fields)


def test_all_that_is_told_has_a_sentence_in_both_languages(tmp_path: Path) -> None:
    assert all(finding.zh and finding.en for finding in FINDINGS.values())
    assert sentence("gbk", "en").startswith("The encoding")
    assert "UTF-8" in sentence("gbk", "zh")
    assert sentence("of a later release", "en") == "of a later release"


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("data.csv", "编号,电话\n1,13812345678\n2,b\n".encode("gbk"), ()),
        ("data.csv", b"\0,b\n1,2\n3,4\n", ()),
        ("data.csv", '"a"b,c\n1,2\n3,4\n', ()),
        ("data.csv", "13812345678,王\n13812345679,李\n", ()),
        ("data.csv", "a@example.com,b\n1,2\n", ()),
        ("data.csv", "李雷雷,138-1234-9876,京A54321,１３９１２３４９８７６\n1,2,3,4\n", ()),
        ("data.csv", "李雷雷,１３９１２３４９８７６\n1,2\n", ()),
        ("data.csv", "李雷雷,京A54321\n1,2\n", ()),
        ("data.csv", "a,sk-proj-abcdefghijklmnopqrstuvwxyz\n1,2\n", ()),
        ("data.csv", "a,密码abc123\n1,2\n", ()),
        ("data.tsv", "00:1A:2B:3C:4D:5E\tb\n1\t2\n", ()),
        ("data.csv", "https://a.com/u/zhangsan,x\n1,2\n", ()),
        ("data.jsonl", '{"138-1234-9877": 1, "10.0.0.17": 1, "a": 2}\n', ("a",)),
        ("data.jsonl", '{"13812345678": 1, "a": 2}\n', ("a",)),
        ("data.csv", b"a,b\n\xff,2\n3,4\n", ("a", "b")),
    ],
)
def test_no_value_is_told_as_the_name_of_a_field(
    tmp_path: Path, name: str, content: str | bytes, fields: tuple[str, ...]
) -> None:
    found = checked(tmp_path, name, content)
    assert tuple(field.name for field in found.fields) == fields
    assert b"138123456" not in msgspec.json.encode(found)


ORDINARY = (
    "text_2024,2024-01-01,2024年1月,Q1,col_12345,ipv4,手机号,url,http_status,created_at,身份证号,phone1,v1.2.3,sha256,@id,"
    "hf_tokenizer_vocabulary_size,密码sha256,bbox_x1_y1_x2_y2,2023-2024学年,q1_2019_2020_2021,20240101,价格(元),0,姓名,微信昵称"
)


def test_names_of_fields_are_told(tmp_path: Path) -> None:
    found = checked(tmp_path, "data.csv", f"{ORDINARY}\n{ORDINARY}\n")
    assert ",".join(field.name for field in found.fields) == ORDINARY
    assert found.fields_complete
