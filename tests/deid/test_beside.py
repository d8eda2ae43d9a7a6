"""Values in groups of digits beside other numbers, and plain numbers in groups, which stay."""

from __future__ import annotations

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_ZH, _EN = (Deidentifier(policies.built_in()[policy], Keys(bytes(32))) for policy in ("zh-pii", "en-pii"))


def _check(by: Deidentifier, marked: str, kind: str) -> None:
    """`marked` has braces around the values."""
    text = marked.replace("{", "").replace("}", "")
    done = by.texts([text])
    values = [part.partition("}")[0] for part in marked.split("{")[1:]]
    assert [pair.original for pair in done.mapping if pair.type == kind] == values
    assert by.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    ("marked", "kind"),
    [
        ("{4111 1111 1111 1111} 123", "BANK_CARD"),
        ("1 {6222 0212 3456 7890}", "BANK_CARD"),
        ("{6222 0212 3456 7890 123} 500", "BANK_CARD"),
        ("信用卡 {4111 1111 1111 1111} 12/25 123", "BANK_CARD"),
        ("信用卡 {3782 822463 10005}", "BANK_CARD"),
        ("美国运通 {3782-822463-10005}", "BANK_CARD"),
        ("银行卡{6 2 2 2 0 2 1 2 3 4 5 6 7 8 9 0 1 2 8}", "BANK_CARD"),
        ("{138 1234 5678} {139 8765 4321}", "CN_PHONE"),
        ("张三 110105194912310021 {138 1234 5678} 45 北京", "CN_PHONE"),
        ("房号 1203 {139 8765 4321}", "CN_PHONE"),
        ("王五 {138 1234 5678} 3件", "CN_PHONE"),
        ("快递 {138 1234 5678} 2024-03-05 签收", "CN_PHONE"),
        ("联系人 {138 1234 5678} 500元", "CN_PHONE"),
        ("{010 6234 5678} {010 6234 5679}", "CN_LANDLINE"),
        ("{2024-03-05}-{2024-03-09}", "DATE"),
        ("{1990-03-07}-001", "DATE"),
        ("身份证：{110105 491231 002}", "CN_ID"),
        ("生日{1990-02-30}", "NUMBER"),
        ("出生日期：{1990年13月1日}", "NUMBER"),
        ("DOB {02/30/1990}", "NUMBER"),
        ("date of birth: {1990-02-30}T00:00:00", "NUMBER"),
        ("生日{1990-02-28}", "DATE"),
        ("DOB {28/02/1990}", "DATE"),
        ("QQ {1234 5678}", "QQ"),
        ("qq号：{123 456 789} 90", "QQ"),
        ("台胞证 {1234 5678}", "TW_PERMIT"),
        ("台胞证号：{0123 4567}", "TW_PERMIT"),
    ],
)
def test_chinese(marked: str, kind: str) -> None:
    _check(_ZH, marked, kind)


@pytest.mark.parametrize(
    ("marked", "kind"),
    [
        ("{4111 1111 1111 1111} 12/25 123", "CREDIT_CARD"),
        ("Visa {4111 1111 1111 1111} 1225 123", "CREDIT_CARD"),
        ("Card 4 {4111 1111 1111 1111}", "CREDIT_CARD"),
        ("SSN {123 45 6789} 2024", "US_SSN"),
        ("SSN: {123.45.6789}", "US_SSN"),
        ("My SSN is {987-65-4321}", "US_SSN"),
        ("SSN: {900-12-3456}", "US_SSN"),
        ("SSN {666-12-3456}", "US_SSN"),
        ("SSN {000-12-3456}", "US_SSN"),
        ("社会安全号 {123-00-4567}", "US_SSN"),
        ("SSN {123450000}", "US_SSN"),
        ("ITIN {912 70 1234}", "US_SSN"),
        ("Tax ID: {912-70-1234}", "US_SSN"),
    ],
)
def test_english(marked: str, kind: str) -> None:
    _check(_EN, marked, kind)


@pytest.mark.parametrize(
    "text",
    [
        "1200 9310 7322 6749 1201", "3 1 4 1 5 9 2 6 5 3 5 8 9 7 9 3", "138 1024 2048 4096 512 256 128",
        "1000 2000 3000 4000 5000 6000",
        "[[150 2000 300] [1 2 3]]", "4111 1111 1111 1111 2222 3333", "135 2100 4400 12 870 1200 9900 41",
        "1-2-3-4-5-6", "2024-1-15-3-2-8-1", "1.2.2024.3", "123 45 6789 2024", "v2024.03.05.1",
        "2024 0301 0302 0303 0304", "987-65-4321", "123-00-4567", "QQ 12 34 56", "生日：0000-00-00", "1990-02-30",
        "QQ 100 2", "QQ 0123 4567", "台胞证 1234 567", "台胞证 1234 5678 901",
    ],
)  # fmt: skip
def test_plain_numbers(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]
        assert engine.reverse([text]).texts == [text]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("QQ：1234567 电话：62345678", [("QQ", "1234567"), ("PHONE", "62345678")]),
        ("QQ 1234567，座机62345678", [("QQ", "1234567"), ("PHONE", "62345678")]),
        ("QQ 1234567 / 7654321", [("QQ", "1234567"), ("QQ", "7654321")]),
        ("QQ/电话：1234567", [("QQ", "1234567")]),
        ("我的QQ有两个，一个是1234567", [("QQ", "1234567")]),
        ("QQ号没有，工号12345678", [("NUMBER", "12345678")]),
        ("QQ：无 工号：12345678", [("NUMBER", "12345678")]),
        ('{"qq": "", "emp_no": "12345678"}', [("NUMBER", "12345678")]),
        ("护照有效，SKU：P12345678", [("NUMBER", "12345678")]),
        ("通行证过期，编号C12345678", [("NUMBER", "12345678")]),
        ("银行卡丢了，补办单号：6222021234567891", [("NUMBER", "6222021234567891")]),
        ("护照办好了，给你看，号码：E12345678", [("PASSPORT", "E12345678")]),
        ('{"passport": {"country": "CN", "number": "E12345678"}}', [("PASSPORT", "E12345678")]),
        ("护照编号：E12345678", [("PASSPORT", "E12345678")]),
        ("ip = 192.168.1.1 and net = 192.168.1.0/24", [("IPV4", "192.168.1.1"), ("IPV4", "192.168.1.0")]),
    ],
)
def test_a_number_is_what_its_own_name_says(text: str, values: list[tuple[str, str]]) -> None:
    done = _ZH.texts([text])
    assert [(pair.type, pair.original) for pair in done.mapping] == values
    assert _ZH.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    "marked",
    [
        "银行账户：{1109 0123 4567 8901}",
        "账号：招商银行北京分行 {1109 0123 4567 8901}",
        "账号：中国建设银行股份有限公司深圳市南山支行，{1109 0123 4567 8901}",
        "bank account no. {1109 0123 4567 8901}",
        '"cardNumber":"{1109 0123 4567 8901}"',
        '"bank_account": "{1109-0123-4567-8901}"',
    ],
)
def test_an_account_in_groups(marked: str) -> None:
    _check(_ZH, marked, "NUMBER")


@pytest.mark.parametrize("card", ["4111.1111.1111.1111", "4111.1111.1111.1112"])
@pytest.mark.parametrize("frame", ["card {%s}", "Visa：{%s}", '"creditCard":"{%s}"'])
def test_a_card_in_groups_between_points(frame: str, card: str) -> None:
    _check(_ZH, frame % card, "BANK_CARD")
    _check(_EN, frame % card, "CREDIT_CARD")


@pytest.mark.parametrize(
    "text",
    [
        "4111.1111.1111.1111", "card version 4096.2048.1024.5120", "账户余额 1000 2000 3000 4000",
        "账号自行输入 1000 2000 3000 4000", "account for 12 345 678",
    ],
)  # fmt: skip
def test_numbers_that_are_no_account(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "86-0755-28780808", "86-010-62345678", "统一社会信用代码：91110108 55138508 2Q",
        "信用代码 91-110108-551385082-Q", "税号 no 91110108 55138508 2Q", "ID No 1101 0519 4912 3100 2X",
    ],
)  # fmt: skip
def test_back_in_groups(text: str) -> None:
    for seed in range(8):
        by = Deidentifier(policies.built_in()["zh-pii"], Keys(bytes(32)), seed)
        assert by.reverse(by.texts([text]).texts).texts == [text]
