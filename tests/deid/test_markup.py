"""What surrounds a value is none of it: the next field, tags, and the marks of a format around word and value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_ZH, _EN = (Deidentifier(policies.built_in()[policy], Keys(bytes(32))) for policy in ("zh-pii", "en-pii"))


def _check(by: Deidentifier, marked: str, kind: str) -> None:
    """`marked` has brackets around the one value of the kind."""
    value = marked[marked.index("⟦") + 1 : marked.index("⟧")]
    text = marked.replace("⟦", "").replace("⟧", "")
    done = by.texts([text])
    assert [pair.original for pair in done.mapping if pair.type == kind] == [value]
    assert by.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    "marked",
    [
        "Password=⟦Abc@1234⟧;Database=prod1;Server=db1", "Pwd=⟦Abc@1234⟧;User Id=sa;Initial Catalog=db1",
        "password=⟦Abc@1234⟧,host=10.0.0.1,port=3306", "{password:⟦Abc@1234⟧,user:admin}",
        "login?pwd=⟦Abc@1234⟧&phone=13812345678", "login?pwd=⟦Abc@1234⟧&amp;phone=13812345678",
        "<p>密码:⟦Abc@1234⟧</p><p>手机13812345678</p>", "密码：⟦Abc@1234⟧</div>", "密码：⟦Abc@1234⟧<br>手机",
        "<connectionString>Password=⟦Abc@1234⟧;</connectionString>", "&lt;b&gt;密码：⟦Abc@1234⟧&lt;/b&gt;",
        "token=⟦abc123def456⟧;path=/;expires=2024-03-15", "密码：⟦Abc@1234⟧|手机：13812345678", "密码是⟦Abc@1234⟧</p>",
        "password=⟦P@ss;w0rd&2,x<y⟧", "password=⟦P@ss<w0rd>2⟧", "password=⟦a1&b2|c3⟧",
    ],
)  # fmt: skip
def test_a_secret_ends_where_the_next_field_or_a_tag_begins(marked: str) -> None:
    for engine in (_ZH, _EN):
        _check(engine, marked, "API_KEY")


@settings(max_examples=60, deadline=None)
@given(
    value=st.from_regex(r"[0-9][A-Za-z]{3}[A-Za-z0-9@#!;&,<|]{1,20}[0-9]{2}", fullmatch=True),
    after=st.sampled_from([";Server=db", "&next=page", ",host:db", "</p>", "<br/>", " | ok"]),
)
def test_whatever_signs_a_secret_holds(value: str, after: str) -> None:
    text = f"password={value}{after}"
    done = _ZH.texts([text])
    assert value in [pair.original for pair in done.mapping]
    assert done.texts[0].endswith(after)


@pytest.mark.parametrize(
    "marked",
    [
        "密码：`⟦Abc@1234⟧`", "**密码**：⟦Abc@1234⟧", "**密码：** ⟦Abc@1234⟧", "密码：**⟦Abc@1234⟧**",
        "API Key：`⟦9f8e7d6c5b4a3928⟧`", "- `password`: `⟦Abc@1234⟧`", "密码 `⟦Abc@1234⟧`", "密码：*⟦Abc@1234⟧*",
        "<password>⟦Abc@1234⟧</password>", '<db:password type="plain">⟦Abc@1234⟧</db:password>',
        "<token>⟦a8f5f167f44f4964⟧</token>", '<property name="password" value="⟦Abc@1234⟧"/>',
        '{"name": "password", "value": "⟦Abc@1234⟧"}', "<td>密码</td><td>⟦Abc@1234⟧</td>",
        "<strong>密码：</strong> ⟦Abc@1234⟧", "密码：<b>⟦Abc@1234⟧</b>",
        "| 密码 | ⟦Abc@1234⟧ |", "密码 → ⟦Abc@1234⟧", "密码 - ⟦Abc@1234⟧", "password -> ⟦Abc@1234⟧",
        "__密码__：⟦Abc@1234⟧", "__密码：__ ⟦Abc@1234⟧", "密码：__⟦Abc@1234⟧__", "___password___: ⟦Abc@1234⟧",
        "密码：⟦_Abc@12_34⟧", "密码：⟦__Abc@12_34⟧",
        "密码：⟦*Abc@12*34⟧", "password=⟦Abc@1234*⟧",
    ],
)  # fmt: skip
def test_a_secret_in_markup(marked: str) -> None:
    for engine in (_ZH, _EN):
        _check(engine, marked, "API_KEY")


@pytest.mark.parametrize(
    ("marked", "kind"),
    [
        ("**微信号**：⟦zs_8888⟧", "WECHAT"),
        ("**微信**：⟦zhangsan⟧", "WECHAT"),
        ("微信号：**⟦zs_8888⟧**", "WECHAT"),
        ("__微信号__：⟦zs_8888⟧", "WECHAT"),
        ("__电话__：⟦6234-5678⟧", "PHONE"),
        ("微信号：`⟦zs_8888⟧`", "WECHAT"),
        ("<WeChat>⟦zhangsan⟧</WeChat>", "WECHAT"),
        ("<td>微信</td><td>⟦zs_8888⟧</td>", "WECHAT"),
        ("微信 → ⟦zs_8888⟧", "WECHAT"),
        ("| 微信号 | ⟦zs_8888⟧ |", "WECHAT"),
        ("**电话**：⟦6234-5678⟧", "PHONE"),
        ("电话：`⟦6234-5678⟧`", "PHONE"),
        ("<tel>⟦6234-5678⟧</tel>", "PHONE"),
        ("<td>电话</td><td>⟦6234-5678⟧</td>", "PHONE"),
        ("| 电话 | ⟦6234-5678⟧ |", "PHONE"),
        ("账号：`⟦1109 0123 4567 8901⟧`", "NUMBER"),
        ("**账号**：⟦1109 0123 4567 8901⟧", "NUMBER"),
        ("身份证 → ⟦1101 0519 4912 3100 2X⟧", "CN_ID"),
    ],
)
def test_other_values_in_markup(marked: str, kind: str) -> None:
    _check(_ZH, marked, kind)


@pytest.mark.parametrize(
    "text",
    [
        "| Tokens | GPT-4o |", "<td>Tokens</td><td>Llama-3.1</td>", "| password | varchar(64) |",
        "token__init__ = 1", "class Token2: def __init__(self, token, x1)",
        "密码：__init__", "if token is self.__token__: a1", "password__min = max(a1, b2)",
        "if token >= limit_2b:",
        "The `password` field2 is hashed", "| password | 必填项 |", "<password>${db.password1}</password>",
        "password -> sha256", "token->next2 = a->b2", "<td>password</td><td>String</td>", "**password** must be reset",
        "| 微信 | 电话 |", "| 微信 | Android12 |", "**电话** 12-34", "`token`: `str`", "<token>identifier</token>",
        "let x: Token<T> = parse2();", "</password>Abc@1234", "password - user-defined",
    ],
)  # fmt: skip
def test_markup_without_a_value(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]
