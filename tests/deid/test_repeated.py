"""What a word tells once is told for its whole document, and for no other."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from contracts.deid import FileFormat
from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.policies import Policy
from services.runtime.deid.rules import Pattern

POLICY, KEYS = policies.built_in()["zh-pii"], Keys(bytes(16))
ENGINE = Deidentifier(POLICY, KEYS)
WECHAT, SECRET = "zs_8888", "Abc@1234"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"我的微信号是 {WECHAT}。好的，{WECHAT}已记录", WECHAT),
        (f"好的，{WECHAT} 已记录。我的微信号是 {WECHAT}", WECHAT),
        (f"密码是 {SECRET}，请用{SECRET}登录，对，{SECRET}!", SECRET),
        (f"微信号：{WECHAT}，你好 @{WECHAT}", WECHAT),
        ("QQ 1234567，再说一遍：1234567。", "1234567"),
        ("座机电话 62345678，重复一遍：62345678", "62345678"),
        ("座机电话 6234-5678，重复一遍：6234-5678", "6234-5678"),
    ],
)
def test_it_is_found_again_in_the_same_text(text: str, value: str) -> None:
    result = ENGINE.texts([text])
    [pseudonym] = {entry.pseudo for entry in result.mapping if entry.original == value}
    assert result.texts == [text.replace(value, pseudonym)]


def test_it_is_found_again_in_other_strings_of_a_document() -> None:
    record = {"messages": [{"content": f"密码是 {SECRET}"}, {"content": f"{SECRET} 收到"}], "password": "Xyz#9876"}
    changed = json.loads(ENGINE.texts([json.dumps(record)], format="json").texts[0])
    first, second = (message["content"] for message in changed["messages"])
    assert SECRET not in first + second
    assert first.split()[-1] == second.split()[0]


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
@pytest.mark.parametrize(("kind", "apart"), [("csv", ","), ("tsv", "\t")])
def test_it_is_found_again_in_other_cells_of_a_row(
    tmp_path: Path, kind: FileFormat, apart: str, chunk_bytes: int
) -> None:
    told, again = f"我的微信号是 {WECHAT}", f"好的，{WECHAT}"
    rows = [("instruction", "input", "output"), ("问候", told, again), ("", "", again), (again, "", told)]
    (tmp_path / "in").write_text("".join(f"{apart.join(row)}\n" for row in rows), encoding="utf-8")
    deidentify_file(tmp_path / "in", tmp_path / "out", POLICY, KEYS, format=kind, chunk_bytes=chunk_bytes)
    [first, other, last] = [
        line.split(apart) for line in (tmp_path / "out").read_text(encoding="utf-8").splitlines()[1:]
    ]
    pseudonym = first[1].split()[-1]
    assert WECHAT not in f"{first}{last}"
    assert pseudonym in first[2]
    assert pseudonym in last[0]
    assert other[2] == again


OWN = msgspec.structs.replace(POLICY, patterns=(Pattern(name="OWN", pattern="own-[0-9]{4}", action="redact"),))


@pytest.mark.parametrize("policy", [POLICY, OWN], ids=["typed", "patterns"])
@pytest.mark.parametrize(
    ("told", "again", "value"),
    [
        (f'"我的微信号是 {WECHAT}"', f'"好的\\/{WECHAT} \\u8bb0\\u5f55"', WECHAT),
        (f'"微信号：{WECHAT}"', f'"第一行\\n{WECHAT} 已记录"', WECHAT),
        (f'"密码是 {SECRET}"', f'"\\u597d\\uff0c{SECRET}\\uff0c"', SECRET),
        ('"座机电话 62345678"', "6.2345678E7", "62345678"),
        ('"座机电话 62345678"', '"6.2345678e+7"', "62345678"),
        ('"QQ 1234567"', "1234567", "1234567"),
    ],
)
def test_it_is_found_again_however_strings_of_a_document_are_written(
    policy: Policy, told: str, again: str, value: str
) -> None:
    """Whichever comes first; the first document has a code that means nothing, the last no code at all."""
    engine = Deidentifier(policy, KEYS)
    other = f'{{"a": "{value}", "b": "\\u8bb0"}}'
    record, turned = (
        f'{{"messages": [{{"content": {first}}}, {{"content": {second}}}]}}'
        for first, second in ((told, again), (again, told))
    )
    given = [other, record, f'["{value}"]', turned, other]
    result = engine.texts(given, format="json")
    alone = engine.texts([record], format="json").mapping
    [pseudonym] = {entry.pseudo for entry in alone if entry.original == value}
    for text in (result.texts[1], result.texts[3]):
        for message in json.loads(text)["messages"]:
            assert value not in str(message["content"])
            assert pseudonym in str(message["content"])
    assert result.texts == [engine.texts([text], format="json").texts[0] for text in given]


def test_words_of_letters_alone_are_not_told() -> None:
    text = json.dumps({"password": "password", "note": "the password is qwerty"})
    changed = json.loads(ENGINE.texts([text], format="json").texts[0])
    assert changed["note"] == "the password is qwerty"
    assert changed["password"] != "password"


def test_other_texts_are_not_told() -> None:
    assert ENGINE.texts([f"密码是 {SECRET}", f"{SECRET} 是什么"]).texts[1] == f"{SECRET} 是什么"


@pytest.mark.parametrize("rest", [f"x{SECRET}", f"{SECRET}5", "Abc@123", "abc@1234", "/Abc@1234x/"])
def test_only_the_whole_value_is_told(rest: str) -> None:
    assert ENGINE.texts([f"密码是 {SECRET}，见{rest}"]).texts[0].endswith(f"，见{rest}")
