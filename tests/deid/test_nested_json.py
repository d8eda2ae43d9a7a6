"""JSON within strings of JSON, as calls of tools have it: it stays JSON, and its values are those of the plain text."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.runtime.deid.engine import Deidentifier, TextFormat
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.kinds import TYPES
from services.runtime.deid.policies import Policy
from services.runtime.deid.rules import Action, Pattern, Rule

KEYS = Keys(b"a secret of this installation")
ACTIONS = get_args(Action)
OWN = Pattern(name="OWN", pattern=r"EMP-[0-9A-Za-z\\\"]{4,12}|[a-z]+@example")
VALUES = {
    "password": "Abc@1234", "api_key": "sk-abcdefghijklmnop1234567890ABCDEF", "wechat": "zs_8888", "tel": "62345678",
    "phone": "13812345678", "电话": "010-62345678", "us": "(415) 555-2671", "email": "zhang@example.com",
    "身份证": "11010519491231002X", "url": "https://a.com/x?y=1", "mac": "001A2B3C4D5E", "ip": "192.168.1.20",
    "host": "2001:db8::ff00:42:8329", "生日": "2024-03-05", "qq": "1234567", "护照": "E12345678", "车牌": "粤B12345",
    "iban": "DE89370400440532013000", "银行卡": "6222021234567890128", "信用代码": "91110108551385082Q",
    "通行证": "C12345678", "imei": "490154203237518", "ssn": "536-22-1234", "n": "12345678", "密码": "Xyz@9876",
    "微信号": "ls_6666", "姓名": "王小明", "地址": "北京市朝阳区建国路88号", "手机": "１３９12345678",
    "出生": "1990年3月7日",
}  # fmt: skip


def policy_of(action: Action, *, own: bool = False) -> Policy:
    of_dates = {"DATE": Rule(action=action)}
    every: Action = "pseudonymise" if action == "date_shift" else action
    rules = {kind: Rule(action=every) for kind in TYPES} | of_dates
    patterns = (Pattern(name=OWN.name, pattern=OWN.pattern, action=every),) if own else ()
    return Policy(id="every", version="1", types=rules, patterns=patterns)


def wrapped(value: Any, depth: int, *, ascii_only: bool = False) -> str:
    text = json.dumps(value, ensure_ascii=ascii_only)
    for _ in range(depth):
        text = json.dumps({"tool_calls": [{"function": {"arguments": text}}]}, ensure_ascii=ascii_only)
    return text


def unwrapped(text: str, depth: int) -> Any:
    for _ in range(depth):
        text = json.loads(text)["tool_calls"][0]["function"]["arguments"]
    return json.loads(text)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("action", ["pseudonymise", "mask", "hash", "date_shift"])
def test_escaped_slashes_are_slashes(action: Action, own: bool) -> None:
    by = Deidentifier(policy_of(action, own=own), KEYS)
    plain = json.dumps({"url": "https://a.example.com/zhang/", "生日": "2024/03/15", "电话": "13812345678/13912345678"})
    wanted = json.loads(by.texts([plain], format="json").texts[0])
    assert wanted != json.loads(plain)
    for ascii_only in (False, True):
        text = json.dumps(json.loads(plain), ensure_ascii=ascii_only).replace("/", "\\/")
        for depth in range(4):
            forms: list[TextFormat] = ["text", "json"]
            for form in forms:
                done = by.texts([text], format=form)
                assert unwrapped(done.texts[0], depth) == wanted
                if action in ("pseudonymise", "date_shift"):
                    assert by.reverse(done.texts, format=form).texts == [text]
            text = json.dumps({"tool_calls": [{"function": {"arguments": text}}]}, ensure_ascii=ascii_only)


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_depth_is_as_the_plain_text(action: Action, ascii_only: bool) -> None:
    by = Deidentifier(policy_of(action), KEYS)
    plain = by.texts([wrapped(VALUES, 0)], format="json")
    told = {"Abc@1234", "zs_8888", "62345678", "(415) 555-2671", "Xyz@9876", "ls_6666", "王小明", "１３９12345678"}
    assert told <= {pair.original for pair in plain.mapping}
    for depth in (1, 2, 3):
        text = wrapped(VALUES, depth, ascii_only=ascii_only)
        nested = by.texts([text], format="json")
        assert unwrapped(nested.texts[0], depth) == unwrapped(plain.texts[0], 0)
        assert nested.mapping == plain.mapping
        as_text = by.texts([text])
        assert unwrapped(as_text.texts[0], depth) == unwrapped(plain.texts[0], 0)


def test_characters_by_number_come_back_in_their_place() -> None:
    by = Deidentifier(policy_of("pseudonymise", own=True), KEYS)
    inner = (
        json.dumps({"手机": "１３９12345678", "密码": "Pa&ss1234"})
        .replace("&", "\\u0026")
        .replace("\\uff11", "\\uFF11")
    )
    for outer_ascii in (False, True):
        text = json.dumps({"名": "é", "arguments": inner}, ensure_ascii=outer_ascii)
        for form in ("json", "text"):
            done = by.texts([text], format=form)
            assert {"１３９12345678", "Pa&ss1234"} <= {pair.original for pair in done.mapping}
            assert done.texts[0].isascii() == outer_ascii
            assert by.reverse(done.texts, format=form).texts == [text]


PARTS = st.one_of(
    st.sampled_from([f"{name}：{value}" for name, value in VALUES.items()]),
    st.sampled_from([f'"{name}": "{value}"' for name, value in VALUES.items()]),
    st.sampled_from([*VALUES, *VALUES.values(), "密码", "EMP-a1b2c3", "张三先生", "北京市朝阳区建国路88号"]),
    st.sampled_from(
        ['"', "\\", "\n", "\\n", '\\"', "\\\\", "\t", "\\u4e2d", "\\u", " ", "，", ":", "=", "{", "\0", "/", "Ａ１"]
    ),
)
TEXTS = st.lists(PARTS, min_size=1, max_size=12).map("".join)


@given(TEXTS, st.integers(0, 3), st.booleans(), st.sampled_from(ACTIONS), st.booleans())
@example('password="Abc@1234"', 0, False, "redact", False)
@example('{"password": "Abc@1234"}', 0, False, "hash", False)
@example("邮箱\nzhang@example.com", 1, True, "redact", False)
@example('password="Pa"ss中1234', 1, False, "mask", True)
def test_whatever_is_replaced_it_stays_json(text: str, depth: int, ascii_only: bool, action: Action, own: bool) -> None:
    by = Deidentifier(policy_of(action, own=own), KEYS)
    given = {"content": text, "password": text, "nested": json.dumps([text, {"token": text}])}
    for form in ("json", "text"):
        [done] = by.texts([wrapped(given, depth, ascii_only=ascii_only)], format=form).texts
        if form == "json" or depth:
            new = unwrapped(done, depth)
            assert new.keys() == given.keys()
            [_, inner] = json.loads(new["nested"])
            assert inner.keys() == {"token"}


@pytest.mark.parametrize("secret", ["Abc@1234", 'Pa"ss1234', "Pa\\ss1234"])
def test_mapping_and_hash_are_of_what_json_says(tmp_path: Path, secret: str) -> None:
    by = Deidentifier(policy_of("hash"), KEYS)
    [plain] = by.texts([wrapped({"password": secret}, 0)], format="json").mapping
    assert plain.original == secret
    if '"' not in secret:
        assert by.texts([f"密码：{secret}"]).mapping == [plain]
    for ascii_only in (False, True):
        text = wrapped({"密码": secret}, 0, ascii_only=ascii_only)
        assert by.texts([text], format="json").mapping == [plain]
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["n", "password"], ["1", secret]])
    deidentify_file(tmp_path / "in.csv", tmp_path / "out.csv", policy_of("hash"), KEYS)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1][1] == plain.pseudo


def test_the_number_of_a_user_in_a_path_is_no_escape() -> None:
    by = Deidentifier(policy_of("redact"), KEYS)
    assert by.texts(["D:\\u13812345678", "D:\\u1381"]).texts == ["D:\\u", "D:\\u"]
    assert by.texts(["\\u53f7 13812345678"]).texts == ["\\u53f7 "]


@pytest.mark.parametrize(
    ("inner", "secrets"),
    [
        ([110105199003077919, "x1"], ["x1"]),
        ([{"user": "bob1", "id": 1}], []),
        (["hunter22", "Abc@1234"], ["hunter22", "Abc@1234"]),
        ([1, True, [None]], []),
    ],
)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_json_in_the_string_of_a_password_is_no_secret_itself(
    inner: list[Any], secrets: list[str], ascii_only: bool
) -> None:
    by = Deidentifier(policy_of("pseudonymise"), KEYS)
    text = json.dumps({"密码": json.dumps(inner)}, ensure_ascii=ascii_only)
    done = by.texts([text], format="json")
    assert [pair.original for pair in done.mapping if pair.type == "API_KEY"] == secrets
    _like(json.loads(json.loads(done.texts[0])["密码"]), inner)


NUMBERS = st.one_of(
    st.integers(10**4, 10**19),
    st.integers(-(10**12), -(10**6)),
    st.sampled_from([110105199003071234, 13812345678, 6222021234567890128, 13812345678.25, 20240305]),
)
NAMES = st.sampled_from([*VALUES, "税号", "台胞证", "order_id", "ids", "张三先生", 'a"b', "c\\"])
DOCUMENTS = st.recursive(
    NUMBERS | st.sampled_from([True, None, "电话", 'say "hi", [', "x\\", "{", '[1, "2"]', "a\nb"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
).filter(lambda document: isinstance(document, dict | list))


@given(DOCUMENTS, st.integers(0, 3), st.sampled_from([None, 0, 2]), st.sampled_from(ACTIONS), st.booleans())
@example({"身份证": 110105199003071234}, 1, None, "redact", False)
@example({"ids": [[True, 13812345678], 13812345678]}, 2, 2, "hash", False)
@example([13812345678, {"order_id": -13812345678.25}], 1, None, "mask", True)
@example([["\\", 13812345678], "[", 13812345678], 3, None, "redact", False)
@example([{"password": 12345}], 2, 0, "mask", True)
@example({"tel": -12712000000}, 0, None, "mask", False)
def test_a_number_that_becomes_none_is_a_string(
    document: Any, depth: int, indent: int | None, action: Action, own: bool
) -> None:
    by = Deidentifier(policy_of(action, own=own), KEYS)
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    nested = text
    for _ in range(depth):
        nested = json.dumps({"tool_calls": [{"function": {"arguments": nested}}]}, ensure_ascii=False)
    for form in ("json", "text"):
        [done] = by.texts([nested], format=form).texts
        _like(unwrapped(done, depth), document)
    if isinstance(document, dict):
        [done] = by.texts([f"说：\n```json\n{text}\n```\n[13812345678, 5]，"]).texts
        _like(json.loads(done.split("```")[1].removeprefix("json")), document)


def _like(new: Any, old: Any) -> None:
    """Of the same shape; whatever is a scalar may be a string."""
    if isinstance(old, dict | list):
        assert type(new) is type(old)
        assert len(new) == len(old)
        for one, other in zip(*(each.values() if isinstance(each, dict) else each for each in (new, old)), strict=True):
            _like(one, other)
    else:
        assert not isinstance(new, dict | list)


def test_a_nested_number_comes_back() -> None:
    by = Deidentifier(policy_of("pseudonymise"), KEYS)
    values = [110105199003071234, 110105199103071234, 110105199203071234, 110105198003071234]
    for number in values:
        text = wrapped({"身份证": number}, 1)
        done = by.texts([text], format="json")
        [restored] = by.reverse(done.texts, format="json").texts
        assert unwrapped(restored, 1)["身份证"] in (number, str(number))


@pytest.mark.parametrize(
    "text", ["他说“[1]”，[13812345678, 5]。", '"a", 13812345678, "b"', "ids = [13812345678]", '"a" [13812345678], b']
)
def test_numbers_of_prose_and_code_get_no_quotes(text: str) -> None:
    [done] = Deidentifier(policy_of("replace"), KEYS).texts([text]).texts
    assert done.count('"') == text.count('"')
