"""What is recognised, on texts whose personal data is known."""

from __future__ import annotations

import pytest

from services.runtime.deid import policies
from services.runtime.deid.recognisers import Recogniser
from tests.deid.corpus import Sample
from tests.deid.corpus.chinese import STRUCTURED, corpus
from tests.deid.corpus.measuring import found_in, measure

ZH, EN = policies.built_in()["zh-pii"], policies.built_in()["en-pii"]


def test_chinese_bounds() -> None:
    measured, faults = measure(ZH, corpus(2, 1400))
    for kind in STRUCTURED:
        quality = measured[kind]
        named = [fault for fault in faults if fault[1].type == kind]
        assert quality.found > 40, kind
        assert quality.recall >= 0.99, (kind, named[:3])
        assert quality.precision >= 0.97, (kind, named[:3])


def found(text: str, policy: policies.Policy = ZH) -> list[tuple[str, str]]:
    return [(span.type, text[span.start : span.end]) for span in found_in(Recogniser(policy), Sample(text, ()))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("电话13812345678请回电", [("CN_PHONE", "13812345678")]),
        ("+86-138-1234-5678", [("CN_PHONE", "138-1234-5678")]),
        ("手机１３８１２３４５６７８", [("CN_PHONE", "１３８１２３４５６７８")]),
        (
            "身份证11010519491231002X和11010519491231002x",
            [("CN_ID", "11010519491231002X"), ("CN_ID", "11010519491231002x")],
        ),
        ("订单号12345678901234567890", [("NUMBER", "12345678901234567890")]),
        ("2024年第3季度共1234件", []),
        ("邮件 a.b+c@x-y.com.cn，谢谢", [("EMAIL", "a.b+c@x-y.com.cn")]),
        ("见 https://例.com 或 http://a.com/x?y=1。", [("URL", "http://a.com/x?y=1")]),
        ("京A·D12345停在门口", [("CN_PLATE", "京A·D12345")]),
        ("密码：Abc123!x，请勿泄露", [("API_KEY", "Abc123!x")]),
        ("key=sk-abcdefghijklmnop1234567890", [("API_KEY", "sk-abcdefghijklmnop1234567890")]),
        ("地址 fe80::1ff:fe23:4567:890a 与 std::vector", [("IPV6", "fe80::1ff:fe23:4567:890a")]),
        ("版本 1.2.3.4 与 来源 203.0.113.77", [("IPV4", "203.0.113.77")]),
        ("13812345678.com", [("CN_PHONE", "13812345678")]),
        ("QQ 12345678，订单 87654321", [("QQ", "12345678"), ("NUMBER", "87654321")]),
    ],
)
def test_chinese(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SSN 536-90-4399.", [("US_SSN", "536-90-4399")]),
        ("card 4111 1111 1111 1111 exp", [("CREDIT_CARD", "4111 1111 1111 1111")]),
        ("IBAN gb29 nwbk 6016 1331 9268 19 ok", [("IBAN", "gb29 nwbk 6016 1331 9268 19")]),
        ("call (212) 555-0187 now", [("US_PHONE", "(212) 555-0187")]),
        ("mail Bob@Example.com!", [("EMAIL", "Bob@Example.com")]),
    ],
)
def test_english(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text, EN) == expected


@pytest.mark.parametrize("policy", [ZH, EN], ids=["zh-pii", "en-pii"])
@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("号码", "13812345678"),
        ("电话", "010-62345678"),
        ("SSN", "536-90-4399"),
        ("车牌", "京A12345"),
        ("身份证", "11010519491231002X"),
        ("公司", "91350211M000100Y43"),
        ("港澳通行证", "C12345678"),
        ("台胞证", "12345678"),
        ("卡号", "4111 1111 1111 1111"),
        ("卡号", "6222021234567890123"),
        ("微信", "wxid_abc123def"),
        ("QQ", "12345678"),
    ],
)
def test_both_policies_find_what_either_language_has(word: str, value: str, policy: policies.Policy) -> None:
    assert [text for _, text in found(f"{word} {value}", policy)] == [value]


def test_a_value_ends_with_its_field() -> None:
    text = '{"a":"password=Abc123!x","b":"token=xyz789;","c":"d"}'
    spans = found_in(Recogniser(ZH), Sample(text, (), "json"))
    assert [text[span.start : span.end] for span in spans] == ["Abc123!x", "xyz789"]


def test_overlaps_are_resolved_once() -> None:
    assert found("http://a.com/13812345678?mail=x@y.com") == [("URL", "http://a.com/13812345678?mail=x@y.com")]
    assert found("邮箱 13812345678@qq.com") == [("EMAIL", "13812345678@qq.com")]


@pytest.mark.parametrize(
    "text",
    ["2024年13月5日", "2024年2月30日", "1799年1月1日", "2023年02月29号", "2200年1月1日", "一六四四年四月二十五日"],
)
def test_a_day_that_is_none_is_no_date(text: str) -> None:
    assert "DATE" not in [kind for kind, _ in found(text)]


@pytest.mark.parametrize("text", ["2024年2月29日", "1800年12月31号", "2199年1月01日"])
def test_days_in_chinese(text: str) -> None:
    assert found(text) == [("DATE", text)]
