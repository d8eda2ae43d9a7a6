"""Lines and members of a document, cut anywhere into chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from services.datasets.checking.splitting import Document, Line, Member, lines

PIECES = st.sampled_from(
    [b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u", b" ", b"\n", b"\0", b"1", b"a", b"\xff"]
)
JSON_ISH = st.lists(PIECES, max_size=60).map(b"".join)
SIZES = st.integers(1, 12)
TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def chunks(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def members(content: bytes, size: int, longest: int = 1_000_000) -> tuple[list[Member], str | None]:
    document = Document(chunks(content, size), longest)
    return list(document.members()), document.problem


@given(st.binary(max_size=200) | st.text("a\n\r").map(str.encode), SIZES)
def test_lines_are_those_of_the_whole(content: bytes, size: int) -> None:
    whole = content.split(b"\n")
    if not whole[-1]:
        whole.pop()
    assert list(lines(chunks(content, size), 1_000)) == [Line(n, line) for n, line in enumerate(whole, 1)]


@given(st.text("a\n", max_size=60).map(str.encode), SIZES, st.integers(0, 5))
def test_a_line_beyond_the_limit_has_no_content(content: bytes, size: int, longest: int) -> None:
    whole = list(lines([content], 1_000))
    cut = [Line(n, line if line is not None and len(line) <= longest else None) for n, line in whole]
    assert list(lines(chunks(content, size), longest)) == cut


@given(st.lists(JSON, max_size=6), SIZES, st.sampled_from([None, 1]))
def test_members_of_an_array(values: list[object], size: int, indent: int | None) -> None:
    content = json.dumps(values, indent=indent, ensure_ascii=False).encode(errors="surrogatepass")
    found, problem = members(content, size)
    assert problem is None
    assert [json.loads(member.content or b"") for member in found] == values
    for member in found:
        assert member.content is not None
        assert content.split(b"\n")[member.line - 1].lstrip().startswith((member.content.split(b"\n")[0], b"["))


@given(st.dictionaries(TEXT, JSON, max_size=6), SIZES)
def test_members_of_an_object(values: dict[str, object], size: int) -> None:
    found, problem = members(json.dumps(values).encode(), size)
    assert problem is None
    assert json.loads(b"{%b}" % b",".join(member.content or b"" for member in found)) == values


@given(JSON_ISH, SIZES, st.integers(1, 12))
@example(b'["\\', 1, 4)
@example(b"[1]x[]", 4, 4)
@example(b'[{"a":"}"}  \n  ,  {}]', 3, 5)
def test_no_chunk_size_makes_a_difference(content: bytes, size: int, longest: int) -> None:
    assert members(content, size, longest) == members(content, len(content) or 1, longest)


def test_what_is_held_is_bounded() -> None:
    def endless() -> Iterator[bytes]:
        yield b'[{"a":"'
        for _ in range(1_000):
            yield b"x" * 10_000
            assert len(document._rest) <= 30_000
        yield b'"},{"a":1}]'

    document = Document(endless(), 20_000)
    assert list(document.members()) == [Member(1, None), Member(1, b'{"a":1}')]
    assert document.problem is None


def test_where_a_document_is_no_such() -> None:
    for content, problem in (
        (b"", "json_truncated"),
        (b"[1", "json_truncated"),
        (b'["', "json_truncated"),
        (b"x[1]", "json_syntax"),
        (b'"a"[1]', "json_syntax"),
        (b"[1}", "json_syntax"),
        (b"[1]x", "json_syntax"),
        (b"]", "json_syntax"),
    ):
        assert members(content, 2)[1] == problem, content
