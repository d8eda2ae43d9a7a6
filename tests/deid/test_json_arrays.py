"""Arrays of JSON: each element is a document, as a line of JSON Lines is, whatever the chunks and the processes."""

from __future__ import annotations

import io
import itertools
import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.faults import json_fault, line_of_fault
from services.runtime.deid.files import deidentify_file, formats
from services.runtime.deid.files.json_arrays import Commas
from services.runtime.deid.files.work import Job, Work
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import Canceled, FileRefused
from tests.deid.corpus.chinese import corpus

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]
WORK = Work(Job(policy=ZH, keys=KEYS.derive(ZH.key, ZH.id, ZH.version, None), locale="zh-CN", kind="json"))
LINES = Work(Job(policy=ZH, keys=KEYS.derive(ZH.key, ZH.id, ZH.version, None), locale="zh-CN", kind="jsonl"))

TEXTS = st.one_of(
    st.text(alphabet='a[]{},:"\\/\n中é', max_size=8),
    st.sampled_from(["手机", "13812345678", "QQ：1234567", "1234567", "1.3812345678E10", "姓名", "王小明", "\\\\"]),
)
ATOMS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
BLANKS = st.text(alphabet=" \t\r\n", max_size=3)
ELEMENTS = st.lists(st.tuples(BLANKS, VALUES, st.booleans(), BLANKS), max_size=6)


def spelled(elements: list[tuple[str, Any, bool, str]]) -> list[bytes]:
    return [
        (before + json.dumps(value, ensure_ascii=ascii_only) + after).encode()
        for before, value, ascii_only, after in elements
    ]


def array_of(elements: list[tuple[str, Any, bool, str]], before: str = "", after: str = "") -> bytes:
    return before.encode() + b"[" + b",".join(spelled(elements)) + b"]" + after.encode()


def rewritten(content: bytes, size: int) -> tuple[bytes, int] | int:
    """What becomes of it in chunks of that size, and how many records it has, or the line where it is broken."""
    pieces, before, lines, records = list[bytes](), b"", 0, 0
    for chunk in formats.chunks(io.BytesIO(content), "json", lambda _: size):
        done = WORK.do(chunk, before)
        if done.bad:
            return lines + done.bad[0].line
        before, lines, records = before + chunk, lines + done.lines, records + done.records
        pieces.append(done.content)
    return b"".join(pieces), records


@given(ELEMENTS, BLANKS, BLANKS, st.lists(st.integers(1, 20)))
def test_commas_are_those_between_the_elements(elements: Any, before: str, after: str, sizes: list[int]) -> None:
    content = array_of(elements, before, after)
    first = content.index(b"[") + 1
    expected = list(itertools.accumulate((len(element) + 1 for element in spelled(elements)), initial=first))[1:-1]
    commas, found, at = Commas(), list[int](), 0
    for size in [*sizes, len(content)]:
        found += (commas.ends(content[at : at + size]) + at).tolist()
        at += size
    assert found == expected


@pytest.mark.parametrize("backslashes", range(5))
def test_commas_across_blocks(monkeypatch: pytest.MonkeyPatch, backslashes: int) -> None:
    values = ["\\" * backslashes + '",', ["," + '"' * backslashes], {'",': 1}] * 30
    content = json.dumps(values, separators=(",", ":")).encode()
    whole = Commas().ends(content)
    assert [json.loads(piece) for piece in split(content, whole.tolist())] == values
    for block in range(1, 70):
        monkeypatch.setattr("services.runtime.deid.files.json_arrays.BLOCK", block)
        assert Commas().ends(content).tolist() == whole.tolist()


def split(content: bytes, ends: list[int]) -> list[bytes]:
    return [content[start : end - 1] for start, end in itertools.pairwise([1, *ends, len(content)])]


@given(ELEMENTS, BLANKS, BLANKS)
@example([("", "姓名", False, ""), ("\n", "王小明", False, "")], "", "")
@example([("", {"手机": 13812345678}, True, ""), ("", 13812345678, True, "")], " ", "\n")
def test_elements_are_what_lines_are(elements: Any, before: str, after: str) -> None:
    lines = [line.replace(b"\n", b" ") for line in spelled(elements)]
    done = LINES.do(b"\n".join(lines))
    expected = b",".join(done.content.split(b"\n"))
    content = array_of(elements, before, after)
    whole = rewritten(content, 1 << 20)
    assert rewritten(content, 1) == rewritten(content, 10) == whole
    assert not isinstance(whole, int)
    given_back, records = whole
    assert given_back.replace(b"\n", b" ") == array_of([], before, after).replace(b"\n", b" ").replace(
        b"[", b"[" + expected
    )
    assert records == len(elements)


@given(
    ELEMENTS,
    BLANKS,
    BLANKS,
    st.randoms(use_true_random=False),
    st.sampled_from(["", *'[]{},":\\1a\n', "\x00", "\ufeff"]),
)
def test_what_is_broken_anywhere_is_broken_in_chunks(
    elements: Any, before: str, after: str, rng: random.Random, put: str
) -> None:
    text = array_of(elements, before, after).decode()
    at = rng.randint(text.index("[") + 1, len(text))
    content = (text[:at] + put + text[rng.choice([at, at + 1, len(text)]) :]).encode()
    fault = json_fault(content)
    for size in (1, 10, 1 << 20):
        if fault:
            assert rewritten(content, size) == line_of_fault(content)
        else:
            assert not isinstance(rewritten(content, size), int)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[1,\n2,\n]", 2), (b"[1\n2]", 2), (b"[1,\n,2]", 2), (b"[,1]", 1), (b"[\n1] [2]", 2), (b"[1,2]\n,[3,\n4]", 2),
        (b"[1,\n2\n", 2), (b"[1,\n2,\n", 2), (b"[1,\n2,", 2), (b"[1,", 1), (b'["a,', 1), (b"[[1,", 1),
        (b"[1,\n", 1), (b"[", 1), (b'[1,\n"a,\n', 2), (b"[1,\n\xef\xbb\xbf2]", 2),
        (b'[{"a":1},\n{"a":\n}]', 3), (b"[1,\n\xff,3]", 2), (b"[1]]", 1), (b"[1,\n{2]}]", 2), (b"\x0b[1,2]", 1),
        (b"[1,\n2]\n\n,", 4), (b"[[1,\n2},3]", 2), (b"[1,\n2,3]x", 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("chunk_bytes", [1, 4, 1 << 20])
def test_broken_arrays_are_refused_with_the_line(tmp_path: Path, content: bytes, line: int, chunk_bytes: int) -> None:
    (tmp_path / "data").write_bytes(b" " + content)
    with pytest.raises(FileRefused) as refused:
        deidentify_file(tmp_path / "data", tmp_path / "out", ZH, KEYS, format="json", chunk_bytes=chunk_bytes)
    assert refused.value.line == line
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def written(path: Path, size: int = 300) -> bytes:
    given = [{"id": n, "messages": [{"content": sample.text + '\n"[{'}]} for n, sample in enumerate(corpus(9, size))]
    content = b"\xef\xbb\xbf" + json.dumps(given, indent=1, ensure_ascii=False).encode()
    path.write_bytes(content)
    return content


def test_processes_share_the_elements(tmp_path: Path, handed: list[Any]) -> None:
    source = tmp_path / "data.json"
    written(source)
    whole = deidentify_file(source, tmp_path / "whole", ZH, KEYS)
    again = deidentify_file(source, tmp_path / "again", ZH, KEYS, workers=2, chunk_bytes=5_000)
    assert len(handed) > 3
    assert again == whole
    assert again.records == 300
    assert (tmp_path / "again").read_bytes() == (tmp_path / "whole").read_bytes()


def test_progress_moves_and_cancelling_works_between_elements(tmp_path: Path) -> None:
    source = tmp_path / "data.json"
    size, steps, canceled = len(written(source)), list[int](), threading.Event()
    deidentify_file(source, tmp_path / "out", ZH, KEYS, chunk_bytes=5_000, progress=lambda at, _: steps.append(at))
    assert len(steps) > 5
    assert steps == sorted({*steps, size})
    with pytest.raises(Canceled):
        deidentify_file(
            source, tmp_path / "no", ZH, KEYS, chunk_bytes=5_000, canceled=canceled, progress=lambda *_: canceled.set()
        )


def test_fields_may_be_in_any_element(tmp_path: Path) -> None:
    source = tmp_path / "data.json"
    source.write_text('[{"a": "13812345678"}, {"b": {"c": "13812345678"}},\n"13812345678"]')
    for chunk_bytes in (1, 1 << 20):
        deidentify_file(source, tmp_path / "out", ZH, KEYS, fields=["a", "b.c"], chunk_bytes=chunk_bytes)
        assert (tmp_path / "out").read_text().count("13812345678") == 1
        with pytest.raises(FileRefused, match=r"no such field: c"):
            deidentify_file(source, tmp_path / "no", ZH, KEYS, fields=["a", "c"], chunk_bytes=chunk_bytes)


class Endless(io.RawIOBase):
    """A file that goes on and on."""

    def __init__(self, start: bytes, more: bytes) -> None:
        self._start, self._more, self._at = start, more, 0

    def tell(self) -> int:
        return self._at

    def seek(self, at: int, whence: int = 0) -> int:
        self._at = at
        return at

    def read(self, size: int = -1) -> bytes:
        at = self._at
        self._at += size
        start = self._start[at : at + size]
        return start + (self._more * (size // len(self._more) + 1))[: size - len(start)]


@pytest.mark.parametrize(
    ("start", "more"), [(b"[", b"["), (b'["', b"a"), (b'["', b"\\"), (b"[1", b" "), (b"[1,{", b'"a":1,')]
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_an_element_without_end_is_refused(
    monkeypatch: pytest.MonkeyPatch, start: bytes, more: bytes, size: int
) -> None:
    monkeypatch.setattr(formats, "LONGEST_RECORD", 1 << 20)
    file = Endless(start, more)
    with pytest.raises(FileRefused, match="a record has more than 1 MiB"):
        list(formats.chunks(file, "json", lambda _: size))  # type: ignore[arg-type]
    assert file.tell() <= (1 << 20) + 2 * formats.BLOCK


def test_an_array_without_end_comes_in_chunks() -> None:
    chunks = formats.chunks(Endless(b"[", b'{"a":1},'), "json", lambda _: 100_000)  # type: ignore[arg-type]
    sizes = [len(chunk) for chunk in itertools.islice(chunks, 20)]
    assert min(sizes) >= 100_000
    assert max(sizes) < 100_010


@pytest.mark.parametrize("chunk_bytes", [1, 1_000, 1 << 20])
def test_an_element_may_be_long_but_not_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(formats, "LONGEST_RECORD", 2_000)
    source = tmp_path / "data.json"
    source.write_text(json.dumps(["手机 13812345678 " + "x" * 1_500] * 4))
    assert deidentify_file(source, tmp_path / "out", ZH, KEYS, chunk_bytes=chunk_bytes).records == 4
    for place in range(4):
        source.write_text(json.dumps(["x"] * place + ["x" * 2_100] + ["x"] * (3 - place)))
        with pytest.raises(FileRefused, match="a record has more than"):
            deidentify_file(source, tmp_path / "out", ZH, KEYS, chunk_bytes=chunk_bytes)
