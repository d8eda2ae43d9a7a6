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


APART = "。还有一句别的话，说的是天气和路上的事情，把前后两处隔开得远一些，"


@pytest.mark.parametrize("policy", ["zh-pii", "en-pii"])
@pytest.mark.parametrize(
    ("told", "again"),
    [
        ("手机：⟦555 1234⟧", "555 1234"), ("phone ⟦555 1234⟧", "555-1234"), ("tel ⟦020 7946 0958⟧", "020 7946 0958"),
        ("tel ⟦020 7946 0958⟧", "(020) 7946 0958"), ("QQ ⟦12345⟧", "12345"), ("mac ⟦001A2B3C4D5E⟧", "001A2B3C4D5E"),
        ("ip ⟦1.2.3.4⟧", "1.2.3.4"), ("SSN ⟦123 45 6789⟧", "123 45 6789"), ("SSN ⟦123-45-6789⟧", "123456789"),
        ("护照号⟦E12345678⟧", "E12345678"), ("passport ⟦E12345678⟧", "e12345678"),
        ("IMEI ⟦490154203237518⟧", "490154203237518"), ("身份证 ⟦110105491231002⟧", "110105491231002"),
        ("卡号⟦6222021234567890⟧", "6222021234567890"), ("卡号⟦6222021234567890⟧", "6222 0212 3456 7890"),
        ("电话 ⟦6234 5678⟧", "62345678"), ("电话 ⟦010-62345678⟧", "01062345678"),
        ("电话 ⟦01062345678⟧", "010-62345678"),
        ("phone ⟦212-555-1234⟧", "2125551234"), ("台胞证 ⟦12345678⟧", "12345678"), ("通行证 ⟦H12345678⟧", "H12345678"),
        ("车牌 ⟦军V12345⟧", "军V12345"), ("车牌 ⟦京AD 12345⟧", "京AD 12345"), ("密码是 ⟦P@ss(w0rd)2⟧", "P@ss(w0rd)2"),
        ("密码是 ⟦Abc12345!⟧", "Abc12345!"), ("邮箱⟦zhangsan#qq.com⟧", "zhangsan#qq.com"),
    ],
)  # fmt: skip
def test_every_type_is_found_again_with_one_pseudonym(policy: str, told: str, again: str) -> None:
    engine = Deidentifier(policies.built_in()[policy], KEYS)
    given = f"{told[: told.index('⟦')]}%s{APART}%s，好的"
    text = given % (told[told.index("⟦") + 1 : -1], again)
    result = engine.texts([text])
    [first] = {entry.pseudo for entry in result.mapping if entry.original == told[told.index("⟦") + 1 : -1]}
    letters = iter("".join(filter(str.isalnum, first)))
    same = "".join(next(letters) if sign.isalnum() else sign for sign in again)
    assert result.texts[0].lower() == (given % (first, same)).lower()
    assert again not in result.texts[0]
    assert engine.reverse(result.texts).texts == [text]


def test_it_is_found_again_in_another_field() -> None:
    text = json.dumps({"passport": "E12345678", "qq": 12345, "note": "E12345678 已核", "other": "12345"})
    changed = json.loads(ENGINE.texts([text], format="json").texts[0])
    assert changed["note"] == f"{changed['passport']} 已核"
    assert changed["other"] == str(changed["qq"]) != "12345"


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


@pytest.mark.parametrize("value", ["!@#$%^", "correct horse battery"])
def test_nor_are_signs_alone_nor_several_words(value: str) -> None:
    text = json.dumps({"password": value, "note": value})
    changed = json.loads(ENGINE.texts([text], format="json").texts[0])
    assert changed["note"] == value
    assert changed["password"] != value


def test_other_texts_are_not_told() -> None:
    assert ENGINE.texts([f"密码是 {SECRET}", f"{SECRET} 是什么"]).texts[1] == f"{SECRET} 是什么"


@pytest.mark.parametrize("rest", [f"x{SECRET}", f"{SECRET}5", "Abc@123", "abc@1234", "/Abc@1234x/"])
def test_only_the_whole_value_is_told(rest: str) -> None:
    assert ENGINE.texts([f"密码是 {SECRET}，见{rest}"]).texts[0].endswith(f"，见{rest}")


@pytest.mark.parametrize("again", ["12345.6", "0.12345", "A-12345", "12 345", "12345_6", "v12345", "12345-67"])
def test_a_number_is_told_as_a_whole(again: str) -> None:
    assert ENGINE.texts([f"QQ 12345{APART}{again}"]).texts[0].endswith(APART + again)


def test_what_a_word_tells_wins_over_what_its_form_looks_like() -> None:
    engine = Deidentifier(policies.built_in()["en-pii"], KEYS)
    text = f"IMEI 490154203237518{APART}490154203237518"
    assert [entry.type for entry in engine.texts([text]).mapping] == ["IMEI"]


def test_a_landline_after_a_country_code_is_told_there_alone() -> None:
    text = f"电话 +86 10 6234 5678{APART}10 6234 5678"
    done = ENGINE.texts([text])
    assert ENGINE.reverse(done.texts).texts == [text]
