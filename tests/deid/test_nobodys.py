"""What looks like personal data and is nobody's: it stays, as training data would be damaged without need."""

from __future__ import annotations

import json

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_ZH, _EN = (Deidentifier(policies.built_in()[policy], Keys(bytes(32))) for policy in ("zh-pii", "en-pii"))


@pytest.mark.parametrize(
    "text",
    [
        "q@k.transpose(-2,-1)", "out=a@b.float()", "w@x.grad", "a@b.to(device)", "git clone git@github.com:foo/bar.git",
        "监听 0.0.0.0:80", "127.0.0.1", "IP 127.0.1.1", "掩码 255.255.255.0", "http://localhost:8080/v1/models",
        "http://127.0.0.1:8000/v1", "https://[::1]:80/x", "cudnn-8.9.2.26", "x-h8.9.2.26", "v1.2.3.14",
        "版本 10.2.3.45",
        "0.1234567", "π 3.14159265358979", "39.9042123, 116.4073963", "1.602176634e-19", "lr=0.00001234567",
        "550e8400-e29b-41d4-a716-446655440000", "550e8400-ad12-41d4-a716-446655440000",
        "req-00000000-0000-4000-8000-000000000001", "0x7ffe12345678",
        "d41d8cd98f00b204e9800998ecf8427e", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", "0X12345678",
        "MAC 00:00:00:00:00:00", "广播地址 ff:ff:ff:ff:ff:ff", "FF-FF-FF-FF-FF-FF", "mac 0000-0000-0000",
        "从 12:30:45:00:11:22 起", "订单 001a-2b3c-4d5e", "mac 550e8400-ad12-41d4-a716-446655440000",
        "507f1f77bcf86cd799439011", "commit 1a2345678b9c", "span 0123456789abcde1", "0b10101010", "0o1234567",
        "0B11110000",
        "00000010  48 65 6c 6c 6f 20 77 6f  |Hello wo|", "x\n00000020: 4865 6c6c 6f20 776f",
        "0000020 062510 066154 067554 067567",
        "claude-3-5-sonnet-20241022", "gpt-4o-2024-08-06", "glm-4-20240520",
    ],
)  # fmt: skip
def test_what_is_left(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]
        assert engine.reverse([text]).texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "doi:10.1145/3292500.3330701", "DOI:10.1016/j.cell.2020.12345678", "DOI 10.1145/13812345678。",
        "doi：10.1145/3292500.3330701", '"doi": "10.1109/5.771073.2001-03-07"',
    ],
)  # fmt: skip
def test_a_document(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]
        assert engine.reverse([text]).texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "doi:10.1145/3292500.3330701 {}",
        "doi:10.1145/3292500,{}",
        "doi 与手机 {}",
        "10.1145/{}",
        '"doi": "{}"',
        "doi: 10/{}",
    ],
)
def test_a_phone_beside_a_document(text: str) -> None:
    assert _ZH.texts([text.format("13812345678")]).counts == {"CN_PHONE": 1}


def test_a_document_in_its_field() -> None:
    text = '{"doi": "10.1145/3292500.3330701", "note": "10.1145/3292500.3330701 13812345678"}'
    done = _ZH.texts([text], format="json")
    assert [pair.original for pair in done.mapping] == ["3292500", "13812345678"]
    assert _ZH.reverse(done.texts, format="json").texts == [text]


@pytest.mark.parametrize("text", ["ISBN 9787111213826", "ISBN-13：9780306406157", "isbn: 7111213823"])
def test_a_book(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("zhang@corp.com(工作)", "EMAIL", "zhang@corp.com"),
        ("邮箱 git@example.com", "EMAIL", "git@example.com"),
        ("邮箱：wang@mail.unknown", "EMAIL", "wang@mail.unknown"),
        ("ip-10.12.13.45", "IPV4", "10.12.13.45"),
        ("mysql -uroot -h10.0.3.17 shop", "IPV4", "10.0.3.17"),
        ("redis://:secret123@localhost:6379/0", "URL", "redis://:secret123@localhost:6379/0"),
        ("http://localhost:secret@10.0.0.1/", "URL", "http://localhost:secret@10.0.0.1/"),
        ("http://localhost.example.com/a", "URL", "http://localhost.example.com/a"),
        ("12.1234567.8", "NUMBER", "1234567"),
        ("user1.13812345678", "NUMBER", "13812345678"),
        ("00000000000000000000000000000000", "NUMBER", "0" * 32),
        ("a13812345678z", "NUMBER", "13812345678"),
        ("dob 1990-03-07", "DATE", "1990-03-07"),
        ("birth-1990-03-07", "DATE", "1990-03-07"),
        ("user-19900307", "NUMBER", "19900307"),
        ("a13812345678", "NUMBER", "13812345678"),
        ("abcd12345678", "NUMBER", "12345678"),
        ("C1234567", "NUMBER", "1234567"),
        ("f110105194912310021abcde", "CN_ID", "110105194912310021"),
        ("hwaddr=001b44113ab7", "MAC", "001b44113ab7"),
        ("12345670 12 34 56 78", "NUMBER", "12345670"),
        ("x0b12345678", "NUMBER", "12345678"),
        ("v0.0.0-20230824114536-123456", "NUMBER", "20230824114536"),
    ],
)
def test_what_looks_like_it_and_is_somebodys(text: str, kind: str, value: str) -> None:
    for engine in (_ZH, _EN):
        done = engine.texts([text])
        assert [(pair.type, pair.original) for pair in done.mapping] == [(kind, value)]
        assert engine.reverse(done.texts).texts == [text]


def test_no_address_becomes_one_of_nobodys() -> None:
    texts = [f"IP {first}.{second}.3.4" for first in range(1, 10) for second in range(10)]
    done = _ZH.texts(texts)
    assert not any(text.startswith("IP 0.") for text in done.texts)
    assert len(set(done.texts)) == len(texts)
    assert _ZH.reverse(done.texts).texts == texts


@pytest.mark.parametrize("text", ["销售额达到{}元", "¥{}", "￥{}", "${}", "利润{} 亿", "给{}美元", "{}万", "{}万元"])
def test_an_amount_is_no_phone(text: str) -> None:
    assert _ZH.texts([text.format("13812345678")]).counts == {"NUMBER": 1}


@pytest.mark.parametrize("text", ["{}元旦见", "{}元宝", "{}亿通公司", "手机{}万先生", "{}万先生", "给手机{}元"])
def test_a_phone_before_what_looks_like_a_unit(text: str) -> None:
    assert _ZH.texts([text.format("13812345678")]).counts == {"CN_PHONE": 1}


@pytest.mark.parametrize("text", ["1.13812345678\n2.13912345678", "名单\n1.13812345678\n12.13912345678"])
def test_items_of_a_list_are_no_fractions(text: str) -> None:
    done = _ZH.texts([text])
    assert done.counts == {"CN_PHONE": 2}
    assert _ZH.reverse(done.texts).texts == [text]
    coded = json.dumps({"a": text})
    assert _ZH.texts([coded], format="json").counts == {"CN_PHONE": 2}


@pytest.mark.parametrize(
    "text", ["QQ飞车60000点券", "QQ群有50000人", "QQ会员 88888 元", "256-512-1024", "900-450-1200"]
)
def test_sums_and_sizes_are_nobodys(text: str) -> None:
    assert _ZH.texts([text]).texts == [text]


@pytest.mark.parametrize("text", ["QQ群：{}", "QQ号是 {}", "加qq {}", "QQ/微信：{}", "qq: 123456、{}"])
def test_a_short_number_right_after_its_word(text: str) -> None:
    done = _ZH.texts([text.format("54321")])
    assert ("QQ", "54321") in [(pair.type, pair.original) for pair in done.mapping]
    assert _ZH.reverse(done.texts).texts == [text.format("54321")]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("身份证号码为440524188001010014", "NUMBER", "440524188001010014"),
        ("call 1-800-356-9377 now", "PHONE", "800-356-9377"),
        ("手机 138-1234-5678", "CN_PHONE", "138-1234-5678"),
        ("电话 212-555-0187", "PHONE", "212-555-0187"),
    ],
)
def test_the_type_that_a_value_has(text: str, kind: str, value: str) -> None:
    assert [(pair.type, pair.original) for pair in _ZH.texts([text]).mapping] == [(kind, value)]


@pytest.mark.parametrize("number", ["400-820-8820", "800.820.8820", "400-123-4567"])
def test_a_phone_of_a_service_stays_one(number: str) -> None:
    done = _ZH.texts([number])
    assert done.counts == {"PHONE": 1}
    assert done.texts[0] != number
    assert done.texts[0][:3] in {"400", "800"}
    assert _ZH.reverse(done.texts).texts == [number]


def test_a_short_number_in_a_field_that_is_counted() -> None:
    assert _ZH.texts(['{"银行卡号":"","qq2":"70066"}'], format="json").counts == {"QQ": 1}
