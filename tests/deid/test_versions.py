"""Addresses beside orders and versions go; versions, slices and names of code that look like them stay."""

from __future__ import annotations

import json

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier, TextFormat
from services.runtime.deid.keys import Keys

_ZH, _EN = (Deidentifier(policies.built_in()[policy], Keys(bytes(32))) for policy in ("zh-pii", "en-pii"))
_NAMED = Deidentifier(policies.load(b"id: named\nversion: '1'\ntypes: {PERSON: {}, ADDRESS: {}}"), Keys(bytes(32)))


def _found(by: Deidentifier, text: str, form: TextFormat = "text") -> list[tuple[str, str]]:
    return [(pair.type, pair.original) for pair in by.texts([text], format=form).mapping]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Order placed from 203.0.113.5", "203.0.113.5"),
        ("release notes from 10.1.2.3", "10.1.2.3"),
        ("订单来自 10.1.2.3", "10.1.2.3"),
        ("版本服务器 192.168.1.20 下载", "192.168.1.20"),
        ("编号3的摄像头 192.168.1.64", "192.168.1.64"),
        ("订单号A1 客户端 203.0.113.5", "203.0.113.5"),
        ("服务器 10.1.2.3", "10.1.2.3"),
        ("nginx 10.0.0.5", "10.0.0.5"),
        ("MySQL 192.168.1.20", "192.168.1.20"),
        ("connecting to Broker/10.0.0.5:9092", "10.0.0.5"),
        ("at db.example/10.0.0.5", "10.0.0.5"),
        ("10.0.0.5-eth0", "10.0.0.5"),
        ("10.0.0.5-254", "10.0.0.5"),
        ("10.0.0.5~254", "10.0.0.5"),
        ("host=10.0.0.5", "10.0.0.5"),
        ("web-01 10.0.0.5", "10.0.0.5"),
        ("DNS 8.8.8.8", "8.8.8.8"),
        ("ssh root@10.1.2.3", "10.1.2.3"),
    ],
)
def test_an_address_beside_other_words(text: str, value: str) -> None:
    for engine in (_ZH, _EN):
        assert _found(engine, text) == [("IPV4", value)]
        assert engine.reverse(engine.texts([text]).texts).texts == [text]


@pytest.mark.parametrize(
    ("text", "policy", "form", "expected"),
    [
        ('{"order_client":"203.0.113.5"}', _EN, "json", ("IPV4", "203.0.113.5")),
        ('{"invoice_contact":"(212) 555-1234"}', _EN, "json", ("US_PHONE", "(212) 555-1234")),
        ("tracking (212) 555-1234", _EN, "text", ("US_PHONE", "(212) 555-1234")),
        ("订单联系 0755-82345678", _ZH, "text", ("CN_LANDLINE", "0755-82345678")),
        ("金额已转到 6222 0212 3456 7890 123", _ZH, "text", ("BANK_CARD", "6222 0212 3456 7890 123")),
    ],
)
def test_a_word_speaks_against_what_follows_it_alone(
    text: str, policy: Deidentifier, form: TextFormat, expected: tuple[str, str]
) -> None:
    assert _found(policy, text, form) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "JDK 11.0.2.1", "Oracle 11.2.0.4",
        "MySQL 5.7.38.1", "MySQL server version: 5.7.38.1", "certifi==2023.7.22", "v2024.3.5", "IntelliJ 2023.1.2",
        "4.1.2.3 Related work", "图 3.3.1.2", "版本号：10.20.30.4", "升级版本 10.1.2.3 -> 10.1.2.40",
        "Version 2024.3.5", "订单编号 10.20.30.40", "libcudnn8=8.9.7.29-1+cuda12.2",
        "x 15.0.20.5-0ubuntu1", "11.8.0.86~rc1",
        "require a/b v0.0.0-20230824114536-8d8a1ab12345", "v1.2.4-0.20191109021931-daa7c0412345",
        "vllm:0.4.2-cu121-20240510", "1.0.0+build.20240315", '"version": "2012-10-17"', "Anthropic-Version: 2023-06-01",
        "a?api-version=2024-02-01", "版本：2024-03-05",
    ],
)  # fmt: skip
def test_versions_are_left(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]


@pytest.mark.parametrize(
    "text",
    ['{"version":"10.20.30.40"}', '{"order_id":"10.20.30.40"}', '{"版本号":"10.20.30.40"}', '{"Version":"2012-10-17"}'],
)
def test_versions_in_fields_are_left(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text], format="json").texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "Version of 2024-03-05",
        "Version 2024-03-05",
        "version: 3, date: 2024-03-05",
        "Release 2024-03-05",
        "发布于 2024.3.5",
        "版本发布于 2024.3.5",
        "since 2024/3/5",
        "Version Sept. 18, 2008",
    ],
)
def test_days_are_found_beside_versions(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).counts == {"DATE": 1}


@pytest.mark.parametrize(
    "text",
    [
        "emb[:, 1::2] = torch.cos(x)", "nums[1::2]", "s[2::3]", "l[10::-1]", "x[1000::2]", "x[::10]", "use a1::b2;",
        "f64::E", "ec2::add", "std::dead::beef", "::1", "ab::cd::ef1", "12::34::56",
    ],
)  # fmt: skip
def test_slices_and_names_of_code_are_no_addresses(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]


@pytest.mark.parametrize(
    "text", ["fe80::1", "2001:db8::1", "[2001:db8::1]", "fdab:cdef::beef", "FD00::A", "64:ff9b::a1", "1:2::3"]
)
def test_short_addresses(text: str) -> None:
    for engine in (_ZH, _EN):
        done = engine.texts([f"from {text}, to"])
        assert done.counts == {"IPV6": 1}
        assert engine.reverse(done.texts).texts == [f"from {text}, to"]


@pytest.mark.parametrize("name", ["get_weather", "assistant", "getWeather", "get-weather", "os.path", "gpt4"])
def test_names_of_roles_and_functions_are_nobodys(name: str) -> None:
    text = f'{{"name":"{name}"}}'
    assert _NAMED.texts([text], format="json").texts == [text]


@pytest.mark.parametrize("name", ["Anne-Marie", "McDonald", "张三", "O'Neil", "J. Smith"])
def test_names_of_people(name: str) -> None:
    assert _NAMED.texts([f'{{"name":"{name}"}}'], format="json").counts == {"PERSON": 1}


@pytest.mark.parametrize("name", ["john", "7"])
def test_names_in_fields_that_only_people_have(name: str) -> None:
    assert _NAMED.texts([f'{{"full_name":"{name}"}}'], format="json").counts == {"PERSON": 1}
    assert _NAMED.texts([f'{{"name":"{name}"}}'], format="json").counts == {}


@pytest.mark.parametrize(
    "value",
    [
        " ", "-", "...", "***", "——", "N/A", "null", "None", "unknown", "NaN", "无", "未知", " 匿名 ",
        "<|im_start|>", "<unk>", "<PERSON>", "[MASK]", "{name}", "${user.name}", "{{ name }}",
    ],
)  # fmt: skip
def test_a_field_where_nothing_is_known_is_nobodys(value: str) -> None:
    text = json.dumps({"name": value, "address": value}, ensure_ascii=False)
    assert _NAMED.texts([text], format="json").texts == [text]


@pytest.mark.parametrize("value", ["<Bob>", "[张三]", "无名", "Nan", "Unknown Pleasures", "O'Neil"])
def test_what_looks_like_none_is_somebodys(value: str) -> None:
    assert _NAMED.texts([json.dumps({"name": value}, ensure_ascii=False)], format="json").counts == {"PERSON": 1}


def test_pronouns_are_no_names() -> None:
    assert _NAMED.texts(["客户向我们"]).counts == {}
    assert _NAMED.texts(["客户向明"]).counts == {"PERSON": 1}


def test_a_hardware_address_without_signs() -> None:
    assert _found(_ZH, "hwaddr=001b44113ab7") == [("MAC", "001b44113ab7")]
