"""The same kinds of values in the ways in which people write them: none stays, and spellings share a pseudonym."""

from __future__ import annotations

import ipaddress
import re

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier, Result
from services.runtime.deid.keys import Keys

_ZH = Deidentifier(policies.built_in()["zh-pii"], Keys(bytes(32)))
_NO_NAME = re.compile(r"(?i)[ \[(（【]+(?:at|@|dot)[ \])）】]+|%40|[.@＠#]")
_EN = Deidentifier(policies.built_in()["en-pii"], Keys(bytes(32)))


def _found(text: str, by: Deidentifier = _ZH) -> list[tuple[str, str]]:
    return [(pair.type, pair.original) for pair in by.texts([text]).mapping]


@pytest.mark.parametrize(
    "text",
    [
        "138.1234.5678", "138_1234_5678", "138—1234—5678", "138\u00a01234\u00a05678", "138\u30001234\u30005678",
        "138 - 1234 - 5678", "13812345678.0",
    ],
)  # fmt: skip
def test_a_phone_in_any_spelling(text: str) -> None:
    digits = "".join(filter(str.isdigit, _ZH.texts([f"手机 {text}"]).texts[0]))[:11]
    assert digits == "".join(filter(str.isdigit, _ZH.texts(["手机 13812345678"]).texts[0]))


def _digits(text: str, by: Deidentifier = _ZH) -> str:
    """Of what took the place of the one value of a text, which comes back."""
    done = by.texts([text])
    [pair] = done.mapping
    assert by.reverse(done.texts).texts == [text]
    return "".join(filter(str.isdigit, pair.pseudo))


@pytest.mark.parametrize(
    "text",
    [
        "手机:(138)12345678", "+86 (138) 1234 5678", "wx13812345678", "v13812345678", "微信号 VX13812345678",
        "0086 138 1234 5678", "0086-138-1234-5678", "+86.138.1234.5678", "013812345678",
    ],
)  # fmt: skip
def test_a_phone_is_one_value(text: str) -> None:
    assert _digits(text) == _digits("13812345678")


@pytest.mark.parametrize("area", ["10", "755", "931"])
@pytest.mark.parametrize(
    "text",
    [
        "+86 {} 6234 5678", "座机：+86{}62345678", "0086-{}-62345678", "+86 ({}) 62345678", "（+86）{}-62345678",
        "+86 (0){} 62345678", "+86-0{}-62345678", "电话86-{}-62345678", "86-{}-62345678",
    ],
)  # fmt: skip
def test_a_landline_is_one_value_with_and_without_its_trunk(text: str, area: str) -> None:
    at_home = _digits(f"0{area}-62345678")
    assert at_home[0] == "9"
    assert _digits(text.format(area)) == _digits(f"座机：0{area}62345678")[1:] == at_home[1:]


def test_a_phone_of_another_country_is_one_value() -> None:
    assert _digits("电话 00852 9123 4567") == _digits("+852 91234567")
    numbers = "415-555-2671", "phone 4155552671", "(415) 555-2671", "+1 415 555 2671", "tel: +14155552671"
    assert len({_digits(number, _EN) for number in numbers}) == 1


@pytest.mark.parametrize(
    "spellings",
    [
        ("2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8:0:0:0:0:0:1"),
        ("fe80::1ff:fe23:4567:890a", "FE80:0000:0:0:01FF:FE23:4567:890A"),
        ("1:2:3:4:5:6:7:8", "0001:0002:0003:0004:0005:0006:0007:0008"),
    ],
)
def test_an_address_is_one_value(spellings: tuple[str, ...]) -> None:
    done = _ZH.texts(list(spellings))
    assert done.counts == {"IPV6": len(spellings)}
    assert len({ipaddress.ip_address(text) for text in done.texts}) == 1
    assert not set(done.texts) & set(spellings)
    assert list(map(len, done.texts)) == list(map(len, spellings))
    assert [text.lower() for text in _ZH.reverse(done.texts).texts] == [text.lower() for text in spellings]


@pytest.mark.parametrize(
    "text",
    [
        "{zhang.san [at] qq.com}", "写信到{zhangsan(at)qq.com}。", "{zhangsan（at）qq.com}", "{zhangsan【@】qq.com}",
        "to {zhang [dot] san [AT] qq [dot] com}", "邮箱：{zhangsan#qq.com}，谢谢",
        "email {zhang dot san at qq dot com} ok", "{zhangsan＠qq.com}",
        "?email={zhang.san%40qq.com}&id=x", "u%3Demail%3D{zhang.san%40qq.com}", "user={zhangsan%40qq.com}",
    ],
)  # fmt: skip
def test_an_address_of_mail_is_one_value(text: str) -> None:
    value = text[text.index("{") + 1 : text.index("}")]
    text = text.replace("{", "").replace("}", "")
    done = _ZH.texts([text, "zhangsan@qq.com"])
    [pair, plain] = done.mapping
    assert (pair.type, pair.original) == (plain.type, value) == ("EMAIL", value)
    assert "".join(_NO_NAME.split(pair.pseudo)) == "".join(_NO_NAME.split(plain.pseudo))
    assert _ZH.reverse(done.texts).texts == [text, "zhangsan@qq.com"]


@pytest.mark.parametrize(
    "text",
    [
        "{https://a.cn/用户/张三?q=李四}", "见{www.a.cn/新闻/李四}，谢谢", "“{https://a.cn/u/张三}”",
        "{http://a.cn/u/张三.html} 的", "{https://a.cn/?a=1&n=张三&b=王五2}（旧）", "{https://a.cn/a#张三} ok",
        "访问{https://a.cn}查看", "在{https://a.cn/x}查看", "{https://a.cn/}了解更多", "{https://a.cn/x/}，看",
        "登录{https://a.cn/col/}查询最新的政策通知并按要求填写",
    ],
)  # fmt: skip
def test_an_address_of_the_web_ends_where_a_sentence_goes_on(text: str) -> None:
    value = text[text.index("{") + 1 : text.index("}")]
    text = text.replace("{", "").replace("}", "")
    done = _ZH.texts([text])
    [pair] = done.mapping
    assert (pair.type, pair.original) == ("URL", value)
    assert not set("张三李四王五用户新闻") & set(pair.pseudo)
    assert _ZH.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "look at example dot com",
        "zhangsan#qq.com",
        "邮件里的 C#.NET 和 page#id",
        "an item[at] x.zz",
        "100%40x.y",
        "LIKE '%40.com'",
        "they (at) 3.5",
    ],
)
def test_what_is_no_address_of_mail(text: str) -> None:
    assert _found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "电话：87654321、{65432109}", "tel 8765-4321 / {6543-2109}", "电话：87654321，65432100 或{65432109}",
        "电话 010-87654321、{65432109}", "手机 13812345678/{6543 2109}", "电话：+86 10 62345678，{65432109}",
        "tel: 555-0187 or 555-0188 or {6543-2109}",
    ],
)  # fmt: skip
def test_every_phone_of_a_list_is_one(text: str) -> None:
    value = text[text.index("{") + 1 : text.index("}")]
    done = _ZH.texts([text.replace("{", "").replace("}", "")])
    assert done.counts.keys() <= {"PHONE", "CN_PHONE", "CN_LANDLINE"}
    last = done.mapping[-1]
    assert (last.type, last.original) == ("PHONE", value)
    assert "".join(filter(str.isdigit, last.pseudo)) == _digits("电话：65432109")
    assert _ZH.reverse(done.texts).texts == [text.replace("{", "").replace("}", "")]


@pytest.mark.parametrize("text", ["拨打 3、65432109", "电话：87654321、金额65432109", "订单 87654321、65432109"])
def test_another_number_is_no_phone_of_a_list(text: str) -> None:
    assert _found(text)[-1] == ("NUMBER", "65432109")


@pytest.mark.parametrize(("padded", "plain"), [("192.168.001.010", "192.168.1.10"), ("203.0.113.07", "203.0.113.7")])
def test_zeros_before_the_numbers_of_an_address_stay(padded: str, plain: str) -> None:
    done = _ZH.texts([padded, plain])
    assert done.counts == {"IPV4": 2}
    new = done.texts[0].split(".")
    assert list(map(len, new)) == list(map(len, padded.split(".")))
    assert [str(int(part)) for part in new] == done.texts[1].split(".") != plain.split(".")
    assert _ZH.reverse(done.texts).texts == [padded, plain]
    assert _found("1.02.03.04 与 127.000.000.001") == []


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("座机（010）62345678", "CN_LANDLINE", "010）62345678"),
        ("座机(0755)8234 5678", "CN_LANDLINE", "(0755)8234 5678"),
        ("座机 021-6234-5678-123", "CN_LANDLINE", "021-6234-5678"),
        ("香港电话 +852 2345 6789", "PHONE", "2345 6789"),
        ("+86-10-62345678", "CN_LANDLINE", "10-62345678"),
        ("电话：62345678", "PHONE", "62345678"),
        ("热线800-810-1234", "PHONE", "800-810-1234"),
        ("客服400-820-8820", "PHONE", "400-820-8820"),
        ("0755 82345678", "CN_LANDLINE", "0755 82345678"),
        ("IMEI:35-693803-564380-9", "IMEI", "35-693803-564380-9"),
        ("001a.2b3c.4d5e", "MAC", "001a.2b3c.4d5e"),
        ("MAC地址001A2B3C4D5E", "MAC", "001A2B3C4D5E"),
        ("MAC地址：001a-2b3c-4d5e", "MAC", "001a-2b3c-4d5e"),
        ('"mac_addr":"001a2b3c4d5e"', "MAC", "001a2b3c4d5e"),
        ('"macAddress": "001A2B3C4D5E"', "MAC", "001A2B3C4D5E"),
        ("MAC 12:30:45:00:11:22", "MAC", "12:30:45:00:11:22"),
        ("::ffff:192.0.2.1", "IPV4", "192.0.2.1"),
        ("mysql://root:Passw0rd@10.0.0.1:3306/db", "URL", "mysql://root:Passw0rd@10.0.0.1:3306/db"),
        ("redis://:secret123@localhost:6379/0", "URL", "redis://:secret123@localhost:6379/0"),
        ("SecretKey: Gu5t9xGARNpq86cd98joQYCN3EXA", "API_KEY", "Gu5t9xGARNpq86cd98joQYCN3EXA"),
        ("Authorization: Bearer abcdef1234567890ABCDEF", "API_KEY", "abcdef1234567890ABCDEF"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==", "API_KEY", "dXNlcjpwYXNzd29yZDEyMw=="),
        ("密码123456", "API_KEY", "123456"),
        ("京·A12345停在门口", "CN_PLATE", "京·A12345"),
        ("车辆：京 A 12345，已放行", "CN_PLATE", "京 A 12345"),
        ("车辆沪 A·D12345停在门口", "CN_PLATE", "沪 A·D12345"),
        ("京・A12345", "CN_PLATE", "京・A12345"),
        ("那辆京A—12345", "CN_PLATE", "京A—12345"),
        ("（京-A-12345）", "CN_PLATE", "京-A-12345"),
        (
            "bot123456789:AAFm2Yk3Qz9XwVbN1cR8tLpD0sE5hGjKuIo",
            "API_KEY",
            "123456789:AAFm2Yk3Qz9XwVbN1cR8tLpD0sE5hGjKuIo",
        ),
        ("出生于1990 年 3 月 7 日", "DATE", "1990 年 3 月 7 日"),
        ("一九九〇年三月七日", "DATE", "一九九〇年三月七日"),
    ],
)
def test_chinese(text: str, kind: str, value: str) -> None:
    assert _found(text) == [(kind, value)]
    assert _reversed(_ZH, _ZH.texts([text])) == text


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("born March 7, 1990.", "DATE", "March 7, 1990"),
        ("on the 22nd of december 2021", "DATE", "22nd of december 2021"),
        ("MAR 7 1990", "DATE", "MAR 7 1990"),
        ("17-Mar-1990", "DATE", "17-Mar-1990"),
        ("1990-Mar-07", "DATE", "1990-Mar-07"),
        ("[07/Mar/1990:10:00:00 +0000]", "DATE", "07/Mar/1990"),
        ("DOB: 03-07-1990", "DATE", "03-07-1990"),
        ("Date of birth: 07.03.1990", "DATE", "07.03.1990"),
        ("tel: 212/555-1234", "US_PHONE", "212/555-1234"),
        ("phone 12125551234", "US_PHONE", "2125551234"),
        ("+44 (0)20 7946 0958", "PHONE", "20 7946 0958"),
        ("Phone: 88 165 40 96", "PHONE", "88 165 40 96"),
        ("fax 001-404-821-0538 2024 items", "US_PHONE", "404-821-0538"),
        ("dial 0044-20-7946-0959 2024 1234 5678", "PHONE", "20-7946-0959"),
        ("see www.example.org/13812345678", "URL", "www.example.org/13812345678"),
        ("github_pat_11ABCDEFG0abcdefghijkl_mnopqr", "API_KEY", "github_pat_11ABCDEFG0abcdefghijkl_mnopqr"),
    ],
)
def test_english(text: str, kind: str, value: str) -> None:
    assert _found(text, _EN) == [(kind, value)]
    assert _reversed(_EN, _EN.texts([text])) == text


@pytest.mark.parametrize(
    "text",
    [
        "Feb 30, 2000", "In May 2000 we", "二〇二四年十三月三十二日", "call 911 now", "token: 4096",
        "max_tokens=204800", "1.123-456-7890-1", "C++11 and 1+12345", "basic object-oriented-programming", "拨打 120",
        "全新 A 12345 台", "新 A12345",
        "手机 128 256 512", "手机5999 4999 3999", "mobile 2021 2022", "Phone 15 128 256", "release 3.7.1990",
        "part GB00 WEST 1234 5698 7654 32",
    ],
)  # fmt: skip
def test_nothing_of_it(text: str) -> None:
    assert _found(text) == []
    assert _found(text, _EN) == []


def _reversed(by: Deidentifier, result: Result) -> str:
    return by.reverse(result.texts).texts[0]


def test_the_parts_of_a_private_key() -> None:
    parts = "MIIEpAIBAAKCAQEA75qIsvq5aF7bQ9cXabcd", "Zm9vYmFyMTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "q9=="
    frame = "-----BEGIN RSA PRIVATE KEY-----\n{}\n{}\n{}\n-----END RSA PRIVATE KEY-----\nthe end of it"
    text = frame.format(*parts)
    new = _ZH.texts([text]).texts[0]
    assert not any(part in new for part in parts)
    assert new.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert new.endswith("-----END RSA PRIVATE KEY-----\nthe end of it")
    assert _ZH.texts(["-----BEGIN PRIVATE KEY----- is how one begins"]).mapping == []


def test_what_a_field_named_password_holds() -> None:
    new = _ZH.texts(['{"password": "correct horse battery", "hint": "correct horse battery"}'], format="json").texts[0]
    assert new.count("correct horse battery") == 1


@pytest.mark.parametrize(
    ("text", "kind", "plain"),
    [
        ("身份证：{1101 0519 4912 3100 2X}", "CN_ID", "身份证11010519491231002X"),
        ("身份证号 {110 105 1949 1231 002X}", "CN_ID", "身份证11010519491231002X"),
        ("身份证号码是{1 1 0 1 0 5 1 9 4 9 1 2 3 1 0 0 2 X}", "CN_ID", "身份证11010519491231002X"),
        ("电话：{138  1234  5678}", "CN_PHONE", "13812345678"),
        ("手机号 {138/1234/5678}", "CN_PHONE", "13812345678"),
        ("电话 {138 12 34 56 78}", "CN_PHONE", "13812345678"),
        ("税号：{9135 0211 M000 100Y 43}", "CN_USCC", "税号91350211M000100Y43"),
        ("统一社会信用代码 {91350211-M000100Y4-3}", "CN_USCC", "税号91350211M000100Y43"),
        ("对公账号 {1100 1234 5678 9123 4567}", "NUMBER", "账号11001234567891234567"),
        ("账号 {1234-5678-9012}", "NUMBER", "账号123456789012"),
        ("卡号{6222 0212 3456 7890 12 3}", "BANK_CARD", "卡号6222021234567890123"),
        ("车牌？{京AD 12345}", "CN_PLATE", "车牌京AD12345"),
        ("车牌：{京 A 12345}", "CN_PLATE", "京A12345"),
    ],
)
def test_groups_after_a_word_are_one_value(text: str, kind: str, plain: str) -> None:
    value = text[text.index("{") + 1 : text.index("}")]
    text = text.replace("{", "").replace("}", "")
    done = _ZH.texts([text, plain])
    [pair, same] = done.mapping
    assert (pair.type, pair.original) == (same.type, value) == (kind, value)
    assert pair.pseudo.translate(_NO_SIGNS) == same.pseudo.translate(_NO_SIGNS)
    assert _ZH.reverse(done.texts).texts == [text, plain]


_NO_SIGNS = str.maketrans("", "", " -/")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("客服：请提供您的微信号\n用户：zhangsan_88", "WECHAT", "zhangsan_88"),
        ("加我v信 zhangsan_123", "WECHAT", "zhangsan_123"),
        ("SECRET_KEY: 'p@ss w0rd'", "API_KEY", "p@ss w0rd"),
        ("passport number AB123456", "PASSPORT", "AB123456"),
        ("passport A1234567", "PASSPORT", "A1234567"),
        ("护照 E1234567", "PASSPORT", "E1234567"),
        ("passport no. C01X00T47", "PASSPORT", "C01X00T47"),
        ("护照号L898902C3", "PASSPORT", "L898902C3"),
        ("护照：p12x34567", "PASSPORT", "p12x34567"),
        ("护照 E1234 5678", "PASSPORT", "E1234 5678"),
        ("护照号码：E-12345678", "PASSPORT", "E-12345678"),
        ("iban GB82-WEST-1234-5698-7654-32", "IBAN", "GB82-WEST-1234-5698-7654-32"),
        ("IBAN: GB00 WEST 1234 5698 7654 32", "IBAN", "GB00 WEST 1234 5698 7654 32"),
        ("iban GB99WEST12345698765432", "IBAN", "GB99WEST12345698765432"),
        ("IBAN: DE88 3704 0044 0532 0130 00", "IBAN", "DE88 3704 0044 0532 0130 00"),
    ],
)
def test_what_a_word_announces(text: str, kind: str, value: str) -> None:
    assert _found(text) == [(kind, value)]
    assert _reversed(_ZH, _ZH.texts([text])) == text


def test_a_passport_in_its_field() -> None:
    text = '{"passport":"AB123456"}'
    done = _ZH.texts([text], format="json")
    assert done.counts == {"PASSPORT": 1}
    assert _ZH.reverse(done.texts, format="json").texts == [text]
    assert _EN.texts(["passport number AB123456"]).counts == {"PASSPORT": 1}


@pytest.mark.parametrize(
    "text",
    [
        "微信号\n用户：Thanks a lot",
        '密码: "please enter it"',
        "转账 1000 2000 3000",
        "passport v2021beta",
        "身份证 2024 0101 1234 5678 90",
    ],
)
def test_what_a_word_does_not_announce(text: str) -> None:
    assert _found(text) == []


@pytest.mark.parametrize(
    ("by", "text", "value"),
    [
        (_EN, "call (415) 555-2671 now", "(415) 555-2671"),
        (_EN, "+1 (415) 555-2671", "(415) 555-2671"),
        (_ZH, "电话(010)62345678", "(010)62345678"),
        (_ZH, "(座机 010-62345678)", "010-62345678"),
    ],
)
def test_a_bracket_that_closes_in_a_phone_is_part_of_it(by: Deidentifier, text: str, value: str) -> None:
    [pair] = by.texts([text]).mapping
    assert pair.original == value
    assert by.reverse(by.texts([text]).texts).texts == [text]


@pytest.mark.parametrize(
    ("kind", "groups", "whole"),
    [
        ("BANK_CARD", "6222 021001116245702", "6222021001116245702"),
        ("BANK_CARD", "62220 21001 11624 5702", "6222021001116245702"),
        ("CN_ID", "1101 0519 4912 3100 2X", "11010519491231002X"),
        ("CN_ID", "1101-0519-4912-3100-21", "110105194912310021"),
    ],
)
def test_unusual_groups_without_a_word(kind: str, groups: str, whole: str) -> None:
    done = _ZH.texts([f"见 {groups}", whole])
    assert done.counts == {kind: 2}
    assert "".join(filter(str.isalnum, done.mapping[0].pseudo)) == done.mapping[1].pseudo
    assert _ZH.reverse(done.texts).texts == [f"见 {groups}", whole]
