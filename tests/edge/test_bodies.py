"""Bodies are decoded strictly, and what is wrong is told in both languages."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.problems import InvalidBody
from contracts.projects import CreateProject, ProjectChanges
from services.edge.bodies import decode
from services.runtime.complaints import pointer
from tests.edge.conftest import QWEN


def complaints(body: bytes, kind: Any = CreateProject) -> list[tuple[str, str, str]]:
    with pytest.raises(InvalidBody) as refused:
        decode(body, kind)
    assert refused.value.status == 422
    return [(wrong.pointer, wrong.zh, wrong.en) for wrong in refused.value.wrongs]


def test_a_body_becomes_its_struct() -> None:
    command = decode(json.dumps(QWEN).encode(), CreateProject)
    assert command.tags == ("demo", "customer-service")
    assert decode(b"{}", ProjectChanges) == ProjectChanges()


def test_every_field_that_is_wrong_is_named() -> None:
    body = json.dumps({"name": "", "owner": 5, "tags": ["ok", 7], "dataset_nam": "d", "description": "x" * 20_001})
    assert complaints(body.encode()) == [
        ("/dataset_nam", "未知字段", "is not a known field"),
        ("/name", "至少需要 1 个字符", "must have at least 1 character"),
        ("/owner", "类型应为字符串，实际为整数", "must be str, not int"),
        ("/dataset_name", "缺少该字段", "is required"),
        ("/training_yaml_name", "缺少该字段", "is required"),
        ("/description", "最多允许 20000 个字符", "must have at most 20000 characters"),
        ("/tags/1", "类型应为字符串，实际为整数", "must be str, not int"),
    ]


@pytest.mark.parametrize(
    ("body", "zh", "en"),
    [
        (b"", "不是有效的 JSON", "is not valid JSON"),
        (b"{", "不是有效的 JSON", "is not valid JSON"),
        (b"name=x", "不是有效的 JSON", "is not valid JSON"),
        (b'{"name": NaN}', "不是有效的 JSON", "is not valid JSON"),
        (b'{"name": "\\ud800"}', "不是有效的 JSON", "is not valid JSON"),
        (b'\xef\xbb\xbf{"name": "x"}', "不是有效的 JSON", "is not valid JSON"),
        (b'{"name": "\xff"}', "不是有效的 UTF-8 文本", "is not valid UTF-8"),
        (b'{"name": "\xed\xa0\x80"}', "不是有效的 UTF-8 文本", "is not valid UTF-8"),
        (b"[]", "类型应为对象，实际为数组", "must be object, not array"),
        (b"null", "类型应为对象，实际为null", "must be object, not null"),
        (b"[" * 100_000, "类型应为对象，实际为数组", "must be object, not array"),
    ],
)
def test_what_is_no_object_is_refused(body: bytes, zh: str, en: str) -> None:
    [(at, in_chinese, in_english)] = complaints(body)
    assert at == ""
    assert in_chinese.startswith(zh)
    assert in_english.startswith(en)


@given(st.text('{}[]":,\\ud800xtrue1 ', max_size=12).map(str.encode))
@example(b"{bad")
@example(b'"a\\ud800b" ')
def test_what_is_no_json_is_told_in_the_language_of_the_user(body: bytes) -> None:
    try:
        decode(body, CreateProject)
    except InvalidBody as refused:
        for wrong in refused.wrongs:
            if wrong.zh.startswith("不是有效的 JSON"):
                assert re.fullmatch(r"不是有效的 JSON（(内容不完整|字节偏移 \d+ 处)）", wrong.zh)
                assert re.fullmatch(r"is not valid JSON \(.*( truncated|, at byte \d+)\)", wrong.en)


def test_a_key_that_is_given_twice_is_refused() -> None:
    body = json.dumps(QWEN)[:-1] + ', "owner": "mallory"}'
    assert complaints(body.encode()) == [("/owner", "重复出现", "is given more than once")]


def _as_object(pairs: list[tuple[str, tuple[str, bool]]]) -> tuple[str, bool]:
    """The text of an object, and whether it or one inside it has a key twice."""
    keys = [json.loads(f'"{key}"') for key, _ in pairs]
    text = ", ".join(f'"{key}" : {value}' for key, (value, _) in pairs)
    return f"{{{text}}}", len(set(keys)) < len(keys) or any(twice for _, (_, twice) in pairs)


_KEYS = st.sampled_from(["a", "b", "a:b", "\\u003a", ":", "owner"])
_VALUES: st.SearchStrategy[tuple[str, bool]] = st.recursive(
    st.sampled_from([("1", False), ('"a:b"', False), ("null", False), ("[]", False)]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(
            lambda items: (f"[{', '.join(text for text, _ in items)}]", any(twice for _, twice in items))
        ),
        st.lists(st.tuples(_KEYS, inner), max_size=3).map(_as_object),
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(_KEYS, _VALUES), max_size=4).map(_as_object))
def test_a_key_that_is_given_twice_is_found_wherever_it_is(made: tuple[str, bool]) -> None:
    body, twice = made
    if twice:
        assert [zh for _, zh, _ in complaints(body.encode(), dict[str, Any])] == ["重复出现"]
    else:
        assert decode(body.encode(), dict[str, Any]) == json.loads(body)


@pytest.mark.parametrize("value", ["[" * 100_000, "1" + "0" * 5_000, '{"a":' * 50_000, "1e400"])
def test_a_hostile_value_is_refused(value: str) -> None:
    assert complaints(f'{{"name": {value}, "x": 1'.encode())


def test_pointers_are_escaped() -> None:
    assert pointer("a/b", "~c", "0") == "/a~1b/~0c/0"
    [(at, _, _), *_] = complaints(b'{"na/me": 1}')
    assert at == "/na~1me"
