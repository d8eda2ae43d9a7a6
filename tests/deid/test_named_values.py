"""What the name of a field tells counts alike, however the name and the value are written down."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]

NAMED = [
    ("密码", "qwerty"),
    ("password", "hunter2"),
    ("微信号", "zhangsan88"),
    ("wechat", "zhangsan_88（常用）"),
    ("微信号", "id:zs_8888"),
    ("wechat", "ID zs_8888"),
    ("微信", "小明:zs_8888"),
    ("扣扣", "12345678"),
    ("mac", "001A2B3C4D5E"),
    ("mac地址", "001a2b3c4d5e"),
    ("macAddress", "001a2b3c4d5e"),
    ("mac_addr", "001a-2b3c-4d5e"),
    ("token", "abc12345def67890, expires 3d"),
    ("api_key", "abcd1234efgh (prod)"),
    ("encryption_key", "Zx9cVb7Nmq8aBcDe"),
    ("Authorization", "9944b09199c62bcf9418ad84"),
    ("passport", "E1234 5678"),
    ("通行证", "C12345678"),
    ("生日", "19900307"),
    ("电话", "82345678"),
    ("邮箱", "a@b.internal1x"),
    ("卡号", "6222021234567891"),
]


def of_json(text: str) -> dict[str, str]:
    [done] = Deidentifier(ZH, KEYS).texts([text], format="json").texts
    read: dict[str, str] = json.loads(done)
    return read


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


@pytest.mark.parametrize(("name", "value"), NAMED)
def test_names_count_alike_in_json_and_in_tables(tmp_path: Path, name: str, value: str) -> None:
    plain = of_json(json.dumps({name: value}, ensure_ascii=False))
    assert plain[name] != value
    assert of_json(json.dumps({name: value})) == plain
    assert of_json(f'{{"{escaped(name)}": "{escaped(value)}"}}') == plain
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["n", name, "m"], ["1", value, "2"]])
    deidentify_file(tmp_path / "in.csv", tmp_path / "out.csv", ZH, KEYS)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == ["1", plain[name], "2"]


@pytest.mark.parametrize("name", ["电话", "卡号", "ip", "n"])
@pytest.mark.parametrize(
    "number",
    ["82345678", "82345678.5", "-82345678.0", "6222021234567890", "6222021234567890.25", "-13812345678"],
)
def test_numbers_below_an_escaped_name_are_those_below_the_plain_one(name: str, number: str) -> None:
    texts = [f'{{"{written}": [{number}, -{number.lstrip("-")} ]}}' for written in (name, escaped(name))]
    done = Deidentifier(ZH, KEYS).texts(texts, format="json")
    [plain], [coded] = (json.loads(text).values() for text in done.texts)
    assert plain == coded != json.loads(texts[0])[name]


@pytest.mark.parametrize(
    "name",
    [
        "13812345678",
        "手机１３８１２３４５６７８",
        "zhang＠ex.com",
        "https://secret.example.com/path",
        "sk-abcdefghijklmnopqrstuvwxyzabcd",
        "password: hunterxx!!",
    ],
)
def test_a_name_may_be_data_itself(name: str) -> None:
    [changed] = of_json(json.dumps({name: "1"}, ensure_ascii=False))
    assert [changed] == Deidentifier(ZH, KEYS).texts([name]).texts
    assert changed != name


@pytest.mark.parametrize(
    "name", ["token_type_ids", "password_hash_algorithm", "微信公众号名称", "user-agent", "ip", "qq"]
)
def test_other_names_stay(name: str) -> None:
    assert list(of_json(json.dumps({name: "1"}, ensure_ascii=False))) == [name]


def test_a_value_follows_a_name_that_is_searched_itself() -> None:
    assert of_json('{"password": "is Abc@1234 ok"}')["password"] != "is Abc@1234 ok"


def test_patterns_of_a_policy_match_in_any_name() -> None:
    policy = policies.load(
        b"id: own\nversion: '1'\ntypes: {NUMBER: {}}\npatterns: [{name: KEY, pattern: 'key1', action: redact}]"
    )
    done = Deidentifier(policy, KEYS).texts(['{"key1": 1, "a": "key1"}'], format="json")
    assert re.fullmatch('{"<KEY:[0-9a-f]{16}>": 1, "a": ""}', done.texts[0])


@pytest.mark.parametrize("policy", ["zh-pii", "en-pii", "default"])
@pytest.mark.parametrize(
    "text", [r'{"text":"\u4e66\u7c4d ISBN 9787111213826"}', r'["\u4e66 isbn 9787111213826"]', r'{"isbn":"QQ\uff1a12"}']
)
def test_documents_whose_strings_are_all_escaped(policy: str, text: str) -> None:
    [done] = Deidentifier(policies.built_in()[policy], KEYS).texts([text], format="json").texts
    json.loads(done)


@pytest.mark.parametrize(
    "text", ["PGPASSWORD=hunter2x", "rootpassword=abc12345", "密码都是zhang123", "密码还是zhang123"]
)
def test_passwords_in_other_words(text: str) -> None:
    assert Deidentifier(ZH, KEYS).texts([text]).texts != [text]


@pytest.mark.parametrize("text", ["import WXBizMsgCrypt3", "WeChatPay2023"])
def test_names_of_libraries_stay(text: str) -> None:
    assert Deidentifier(ZH, KEYS).texts([text]).texts == [text]
