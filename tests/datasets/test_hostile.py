"""Files made to hurt: bounded, told, and the same however they are cut into chunks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.dataset_checks import FINDINGS
from services.datasets.checking.findings import Problem
from services.datasets.checking.json_records import NotJson, decode
from services.datasets.checking.limits import Limits
from tests.datasets.checked import checked, jsonl

NAMES = st.sampled_from(["d.jsonl", "d.json", "d.csv", "d.tsv", "d.txt", "d", "d.zip"])
PUNCTUATION = [bytes([character]) for character in b'{}[]",:;\\\n\r\t \0\xff']
WORDS = [b"\xef\xbb\xbf", b'{"text":"x"}', b'{"a":1,"b":[{}]}', b'"a,b"', b"a,b\n", b"1,2\n", b"\\ud800"]
PIECES = st.sampled_from([*PUNCTUATION, *WORDS, "春".encode(), "春".encode("gbk")])
CONTENT = st.binary(max_size=300) | st.lists(PIECES, max_size=80).map(b"".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(CONTENT, NAMES, st.integers(1, 64), st.integers(8, 200))
def test_nothing_crashes_and_no_chunk_size_makes_a_difference(
    tmp_path: Path, content: bytes, name: str, chunk: int, record: int
) -> None:
    limits = {"record_bytes": record, "nesting": 3, "columns": 4, "fields": 3, "problems": 4}
    found = checked(tmp_path, name, content, chunk_bytes=chunk, **limits)
    assert found == checked(tmp_path, name, content, **limits)
    assert (found.verdict == "valid") == (found.reason is None)
    assert {problem.code for problem in found.problems} | ({found.reason} - {None}) <= FINDINGS.keys()
    assert len(found.problems) <= 4
    assert len(found.fields) <= 3
    if any(FINDINGS[problem.code].refuses for problem in found.problems):
        assert found.verdict == "invalid"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [65, 1_000, 1_000_000])
def test_deep_nesting(tmp_path: Path, opening: bytes, depth: int) -> None:
    nested = opening * depth + b"1" + (b"]" if opening == b"[" else b"}") * depth
    for name, content in (("d.jsonl", b'{"a":%b}' % nested), ("d.json", b"[%b]" % nested)):
        found = checked(tmp_path, name, content)
        assert (found.verdict, found.reason) == ("invalid", "too_deeply_nested")


def test_a_document_that_only_opens_is_given_up_at_once(tmp_path: Path) -> None:
    found = checked(tmp_path, "d.json", b'[{"a":1},' + b"[" * 9_000_000)
    assert (found.verdict, found.reason, found.records) == ("invalid", "too_deeply_nested", 1)


def test_nesting_up_to_the_bound_is_taken(tmp_path: Path) -> None:
    limits = Limits(nesting=3)
    assert decode(b'{"a":[{"b":"[[[[["}],"c":[]}', limits) == {"a": [{"b": "[[[[["}], "c": []}
    with pytest.raises(NotJson, match="too_deeply_nested"):
        decode(b'{"a":[{"b":[]}],"c":[]}', limits)
    brackets = jsonl({"text": "[" * 200, "list": [[1]] * 100})
    assert checked(tmp_path, "d.jsonl", brackets).verdict == "valid"


def test_long_lines_are_not_kept(tmp_path: Path) -> None:
    long = b'{"text":"' + b"x" * 5_000 + b'"}'
    found = checked(tmp_path, "d.jsonl", b'{"a":1}\n' + long + b'\n{"a":2}\n', record_bytes=1_000, chunk_bytes=64)
    assert (found.records, found.problems) == (2, (Problem(2, "line_too_long"),))
    found = checked(tmp_path, "d.json", b"[\n" + long + b",\n{}]", record_bytes=1_000, chunk_bytes=64)
    assert (found.records, found.problems) == (1, (Problem(2, "record_too_long"),))
    found = checked(tmp_path, "d.csv", b'a,b\n"' + b"x\n" * 5_000 + b'",1\n', record_bytes=1_000)
    assert (found.records, found.problems) == (0, (Problem(2, "record_too_long"),))
    found = checked(tmp_path, "d.csv", b"a,b\n1,2\n" + b'"\n",' * 5_000, record_bytes=1_000)
    assert (found.records, found.reason) == (1, "record_too_long")
    found = checked(tmp_path, "d.csv", b'a,b\n1,2\n"' + b"\n" * 5_000, record_bytes=1_000)
    assert (found.records, found.reason) == (1, "record_too_long")
    found = checked(tmp_path, "d.txt", b"a\n" + b"x" * 5_000, record_bytes=1_000)
    assert (found.records, found.problems) == (1, (Problem(2, "line_too_long"),))


def test_many_fields_are_told_in_part(tmp_path: Path) -> None:
    found = checked(tmp_path, "d.jsonl", jsonl(*({f"field {number}": 1} for number in range(3_000))), fields=5)
    assert (found.verdict, len(found.fields), found.fields_complete) == ("valid", 5, False)
    found = checked(tmp_path, "d.jsonl", jsonl({f"field {number}": 1 for number in range(30)}), columns=20)
    assert (found.verdict, found.reason) == ("invalid", "too_many_fields")
    found = checked(tmp_path, "d.csv", ",".join(map(str, range(30))) + "\n", columns=20)
    assert (found.verdict, found.reason) == ("invalid", "too_many_fields")
    found = checked(tmp_path, "d.json", jsonl({f"field {number}": 1 for number in range(30)}), columns=20)
    assert (found.verdict, found.reason) == ("invalid", "too_many_fields")
    found = checked(tmp_path, "d.jsonl", jsonl({"x" * 1_000: 1}))
    assert len(found.fields[0].name) == 200


def test_bad_lines_are_counted_and_the_first_told(tmp_path: Path) -> None:
    found = checked(tmp_path, "d.jsonl", "{\n" * 500)
    assert (found.bad_records, len(found.problems), found.problems[-1].line) == (500, 20, 20)
