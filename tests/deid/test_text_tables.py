"""Tables within texts: what the header of a column says counts for the cells under it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_ZH = Deidentifier(policies.built_in()["zh-pii"], Keys(bytes(32)))

_FORMS: dict[str, Callable[[str], str]] = {
    "text": lambda text: text,
    "json": lambda text: json.dumps({"text": text}, ensure_ascii=False),
    "ascii": lambda text: json.dumps({"text": text}),
    "nested": lambda text: json.dumps({"arguments": json.dumps({"text": text})}),
}


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize(
    "marked",
    [
        (
            "| 姓名 | 微信 | 密码 | QQ |\n|---|:-:|---|---|\n| 张三 | ⟦zs_8888⟧ | ⟦Abc@1234⟧ | ⟦1234567⟧ |\n"
            "| 李四 | `⟦lisi666⟧` | ⟦888888⟧ | ⟦7654321⟧ |\n\n| 王五 | ww_9999 | Xyz@9876 | 1 |"
        ),
        "名 | 微信 | 登录密码\n--- | --- | ---\n张三 | ⟦zs_8888⟧ | ⟦Abc@1234⟧\n李四|⟦lisi666⟧|⟦888888⟧",
        "| a | 密码 |\n|-|-|\n| x1y2z3 | ⟦Abc@1234⟧ |\n| 微信 | b |\n|-|-|\n| ⟦zs_8888⟧ | x1y2z3 |",
        (
            "INSERT INTO users (name, wechat, `password`) VALUES ('张三','⟦zs_8888⟧','⟦Abc@1234⟧'),\n"
            " ('李, (四','⟦lisi666⟧','⟦It''s@1x⟧'), (NULL, NULL, NULL); -- ww_9999"
        ),
        "insert into t (id, pwd) values (1, '⟦$2a$10$abcdefghij⟧'); insert into t (a, b) values (1, 'x1y2z3');",
    ],
)
def test_cells_are_what_their_column_says(marked: str, form: str) -> None:
    values = [piece.split("⟧")[0] for piece in marked.split("⟦")[1:]]
    text = _FORMS[form](marked.replace("⟦", "").replace("⟧", ""))
    done = _ZH.texts([text], format="text" if form == "text" else "json")
    assert [pair.original for pair in done.mapping] == values
    assert _ZH.reverse(done.texts, format="text" if form == "text" else "json").texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "| 功能 | 密码 | 指纹 |\n|---|---|---|\n| 支持 | 必填项 | 是 |\n| a | varchar(64) | x1y2z3 |",
        "| Model | Tokens | Pass |\n|---|---|---|\n| GPT-4o | 128k | 99.1% |\n| x | 131,072 | 1 |",
        "| 姓名 | 密码 |\n没有分隔 | x1y2z3 |",
        "(token, name) are values (x1y2z3, 2)",
        "| 密码 |\n|---|\n|",
        "|-|-|\n|-|-|",
    ],
)
def test_other_cells_stay(text: str) -> None:
    assert _ZH.texts([text]).texts == [text]


def test_a_table_ends_with_its_text() -> None:
    assert _ZH.texts(["| 密码 |\n|---|", "\n| x1y2z3 |"]).texts[1] == "\n| x1y2z3 |"
