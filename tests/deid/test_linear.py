"""No input takes more than its length: ten times as much text, some ten times as long, whatever the text."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys
from services.runtime.deid.kinds import TYPES

NASTY: dict[str, Callable[[int], str]] = {
    "dots": lambda n: "a." * (n // 2),
    "short passwords": lambda n: "pwd=" * (n // 4),
    "spelled dates": lambda n: "Jan 1 1990 " * (n // 11),
    "ats": lambda n: "a@" * (n // 2),
    "mail": lambda n: "a@" + "a." * (n // 2),
    "local": lambda n: "a" * n + "@",
    "schemes": lambda n: "http://" * (n // 7),
    "url": lambda n: "http://" + "a" * n,
    "digits": lambda n: "1" * n,
    "pairs": lambda n: "1 " * (n // 2),
    "mixed": lambda n: "a1" * (n // 2),
    "phones": lambda n: "13812345678 " * (n // 12),
    "colons": lambda n: "::" * (n // 2),
    "hex": lambda n: "ab:" * (n // 3),
    "ibans": lambda n: "GB11 AAAA " * (n // 10),
    "words": lambda n: "QQ" * (n // 2),
    "secrets": lambda n: "password=" * (n // 9),
    "wechat": lambda n: "微信" * (n // 6),
    "plates": lambda n: "京A" * (n // 4),
    "keys": lambda n: "sk-" + "a-" * (n // 2),
    "jwt": lambda n: "eyJ" * (n // 3) + "." * 3,
    "wide": lambda n: "１" * (n // 3),
    "cards": lambda n: "4111-" * (n // 5),
    "addresses": lambda n: "1.2.3.4." * (n // 8),
    "dates": lambda n: "2024-01-01-" * (n // 11),
    "secret values": lambda n: "token=ab1 " * (n // 10),
    "short addresses": lambda n: "1::1 " * (n // 5),
    "long addresses": lambda n: "a:a:a:a: " * (n // 9),
    "whole addresses": lambda n: "1:2:3:4:5:6:7:8 " * (n // 16),
    "dashes": lambda n: "ab-" * (n // 3),
    "accounts": lambda n: "NO93 8601 1117 947 " * (n // 19),
    "whole plates": lambda n: "京A12345 " * (n // 10),
    "whole keys": lambda n: "sk-abcdefghijklmnop " * (n // 20),
    "mails": lambda n: "a@b.cn " * (n // 7),
    "webs": lambda n: "http://a.cn/b " * (n // 14),
    "short numbers": lambda n: "1234567 " * (n // 8),
    "quotes": lambda n: '"' * n,
    "backslashes": lambda n: "\\" * n,
    "small addresses": lambda n: "11.22.3.4 1.22.3.44 1.2.333.4 " * (n // 30),
    "addresses in brackets": lambda n: "1.2.3.4)1::1" * (n // 12),
    "digits one by one": lambda n: "0{" * (n // 2),
    "names": lambda n: "姓名John Smith" * (n // 16),
    "tokens of one part": lambda n: "eyJabcdefg-" * (n // 11),
    "fractions": lambda n: "0.1234567 " * (n // 10),
    "hashes": lambda n: "1234567a" * (n // 8),
    "uuids": lambda n: "550e8400-e29b-41d4-a716-446655440000 " * (n // 37),
    "models": lambda n: "a-20241022 " * (n // 11),
    "amounts": lambda n: "13812345678元" * (n // 14),
    "landlines abroad": lambda n: "+86 10 62345678 " * (n // 16),
    "labelled phones": lambda n: "v13812345678 " * (n // 13),
    "split phones": lambda n: "电话138 " * (n // 10),
    "split accounts": lambda n: "账号" + "12 " * (n // 3),
    "words for accounts": lambda n: "账号1 " * (n // 8),
    "split companies": lambda n: "税号9-" * (n // 8),
    "turns": lambda n: "微信\n：" * (n // 10),
    "quotes of secrets": lambda n: "token='a " * (n // 9),
    "plates apart": lambda n: "京 AD " * (n // 7),
    "secrets told": lambda n: "password is is is a1 " * (n // 21),
    "secrets beside": lambda n: "密码abc123 " * (n // 13),
    "arguments": lambda n: '("token", "a1b2' * (n // 15),
    "expressions": lambda n: "token=a.b->c::d" * (n // 15),
    "bots": lambda n: "12345678:" * (n // 10) + "1" * 35,
    "bearers": lambda n: "basic a_" * (n // 8),
    "accounts of WeChat": lambda n: "wxid_abcdefgh1234 微信搜搜搜" * (n // 33),
    "versions": lambda n: "version 11.22.3.4, 11.22.3.4 v11.2.3.4 A/11.2.3.4 " * (n // 51),
    "tokens": lambda n: "-eyJabcdefghij." * (n // 15),
    "short phones": lambda n: "tel1 2 " * (n // 7),
    "short phones with colons": lambda n: "tel:1 2," * (n // 8),
    "short faxes": lambda n: "fax 1 2 " * (n // 8),
    "phones of two groups": lambda n: "phone 12 3" * (n // 10),
    "short hotlines": lambda n: "电话1-2 热线1.2," * (n // 20),
    "passwords of digits": lambda n: "密码1234," * (n // 11),
    "assigned expressions": lambda n: "pwd:a.b1c2 " * (n // 11),
    "various passwords": lambda n: "".join(f"pwd=x{i:05}! " for i in range(n // 12)),
    "words for WeChat": lambda n: "wx " * (n // 3),
    "unanswered turns": lambda n: "微信  ，" * (n // 11),
    "lists of phones": lambda n: "tel 1234567" + ",1234567" * (n // 8),
    "many lists of phones": lambda n: "电话13812345678/1234567 " * (n // 27),
    "spelled mails": lambda n: "a.b [at] c [dot] cn " * (n // 20),
    "ats in brackets": lambda n: "(at)" * (n // 4),
    "dots in brackets": lambda n: "mail a" + "(dot)a" * (n // 6) + "(at)b.cn",
    "ats and dots": lambda n: "mail a at b dot c" * (n // 17),
    "mails with #": lambda n: "邮箱a#b.cn" * (n // 12),
    "paths in Chinese": lambda n: "http://a.cn" + "/张三" * (n // 7),
    "webs in Chinese": lambda n: "www.a.cn/x/张三a/李四" * (n // 25),
    "exponents": lambda n: "1.3812345678E+10 " * (n // 17),
    "points and exponents": lambda n: "1.1e" * (n // 4),
    "rows of words told again": lambda n: (
        " ".join(f"密码：{'a1b2' * k} 密码：{'-'.join(['a1b2'] * k)}" for k in range(2, 9)) + " a1b2" * (n // 5)
    ),
    "rows of phones told again": lambda n: "手机：1234 1234 手机：1234 1234 1234" + " 1234" * (n // 5),
    "values told again": lambda n: "".join(f"pwd=x{i:06} x{i + 1:06} " for i in range(n // 19)),
    "phones told again": lambda n: "".join(f"tel 555 {i:04} 555 {i:04} " for i in range(n // 22)),
    "numbers told again": lambda n: "QQ 1111111 " + "1 " * (n // 2),
    "values in values": lambda n: " ".join("pwd=" + "-".join(["aaa1"] * k) for k in range(1, 9)) + " aaa1" * (n // 5),
    "values among signs": lambda n: "pwd=abc123! abc123" + "!" * (n // 2) + " abc123!!!!!!!!!!!!!!!!" * (n // 44),
    "qualified passwords": lambda n: "password for a b c " * (n // 19) + "1",
    "passwords in brackets": lambda n: "密码(a1" * (n // 9),
    "commands": lambda n: "mysql -a1 -b " * (n // 13),
    "commands for the web": lambda n: "curl -a1 -b " * (n // 12),
    "options of users": lambda n: "curl" + " -u a1" * (n // 7),
    "continued commands": lambda n: "redis-cli \\\n -b1 " * (n // 17),
    "pairs of keys": lambda n: "ak/sk:abcdefghijklmno1/" * (n // 23),
    "passwords with blanks": lambda n: "密码 是 是 是1" * (n // 18),
    "small tables": lambda n: "|密码|\n|-|\n" * (n // 16),
    "separators of tables": lambda n: "\n|-|-|" * (n // 6),
    "cells of tables": lambda n: "|密码|微信|\n|-|-|\n" + "|a1b2c3|zs_8888|\n" * (n // 17),
    "columns of tables": lambda n: "|密码|微信|\n|-|-|\n" + "|a" * (n // 2),
    "inserts": lambda n: "(pwd)values" * (n // 11) + "(",
    "values inserted": lambda n: "(pwd,qq)values" + "(1,2)," * (n // 6),
    "words by number": lambda n: "\\u5fae\\u4fe1\\uff1aab_12345 " * (n // 28),
    "hosts of URLs": lambda n: "http://" + "1.2.3.4," * (n // 8),
    "untold mails": lambda n: "mail a@b.zz " * (n // 12),
}

PIECES: dict[str, tuple[str, ...]] = {
    "phones": ("138", "1234", "5678", "13812345678", "+86", "010", "12345678", "212", "(", ")", "-", " ", "."),
    "cards": ("4111", "4111111111111111", "62", "-", " ", "卡号", "."),
    "ids": ("110105", "19491231", "0021", "002X", "110105194912310021", "x", "-", "身份证"),
    "codes": ("91350100M000100Y43", "E12345678", "H12345678", "AA", "GB82", "WEST", "1234", " ", "护照"),
    "dates": ("2024", "01", "1", "31", "-", "/", ".", "年", "月", "日", "生日"),
    "network": ("1", "22", "333", "fe80", "ab", ".", ":", "::", "-", "IP", " ", "mac"),
    "mails": ("a", "b.cn", "@", ".", "-", "_", "http", "://", "www.", "/", "?", "com", " ", "张三"),
    "plates": ("京", "A", "12345", "D1234", "学", "·", "-", "•", "甲", " ", "・"),
    "keys": (
        "sk-",
        "AKIA",
        "eyJ",
        "abcdefghij",
        "ABCDEFGHIJKLMNOP",
        ".",
        "_",
        "-",
        "=",
        " ",
        "token",
        "密码",
        "是",
        "：",
    ),
    "secrets": ("password", "token", " is ", " ", "=", ": ", '"', "abc123", "a.b(", "密码", "改成", "是", "{", ", "),
    "versions": ("version", "Chrome/", "==", "v", " ", "1.2.3.4", "10.20.30.40", "2024.3.5", ", ", "->", "订单", "no"),
    "names": ("姓名", "张三", "先生", "name", "John", "Smith", " ", ":", "地址", "北京市朝阳区", "建国路", "1号", "楼"),
    "words": ("QQ", "qq", "微信", "微信号", "wx", "phone", "tel", "订单", "(", "（", "12345678", "abc_123", " "),
    "signs": ('"', "\\", "\n", "１", "－", "＠", "\u00ef", "{", "0", "é", "\U0001f600"),
}
"""Of what the texts of each recogniser consist."""

OWN = {
    "everything": f"min_score: 0\ntypes: {{{', '.join(f'{kind}: {{}}' for kind in TYPES)}}}",  # however little tells it
    "people": "types: {PERSON: {}, ADDRESS: {}, NUMBER: {}}",
}


SMALL, LARGE = 25_000, 200_000
BOUND = 24
"""Eight times the text may take three times as long for each character; growth with the square takes 64 times."""


@cache
def warm(policy: str) -> Deidentifier:
    """With a policy that is built in, or one of these tests' own."""
    own = f"id: own\nversion: '1'\n{OWN[policy]}".encode() if policy in OWN else None
    engine = Deidentifier(policies.load(own) if own else policies.built_in()[policy], Keys(bytes(16)))
    engine.texts(engine.reverse(["warm 13812345678"]).texts)
    return engine


def seconds(change: Callable[[list[str]], object], text: str) -> float:
    """Of the processor, for this thread; other work on the machine counts little."""
    start = time.thread_time()
    change([text])
    return time.thread_time() - start


def growth(change: Callable[[list[str]], object], make: Callable[[int], str]) -> float:
    """How many times as long the large text takes, each measured at its best; a millisecond is too short to tell."""
    small, large = make(SMALL), make(LARGE)
    least, most = float("inf"), float("inf")
    for _ in range(5):
        least, most = min(least, seconds(change, small)), min(most, seconds(change, large))
        if most < BOUND * max(least, 0.001):
            break
    return most / max(least, 0.001)


@pytest.mark.parametrize("policy", ["zh-pii", "en-pii"])
@pytest.mark.parametrize("name", NASTY)
def test_time_grows_with_the_text_alone(name: str, policy: str) -> None:
    assert growth(warm(policy).texts, NASTY[name]) < BOUND


PEOPLE: dict[str, Callable[[int], str]] = {
    "words for addresses": lambda n: "户籍地址" * (n // 12),
    "words for addresses and numbers": lambda n: "地址1234567" * (n // 13),
    "labelled names": lambda n: "First Name: John Smith " * (n // 23),
    "labels": lambda n: "First Name: " * (n // 12),
    "titles": lambda n: "Mr. Brown " * (n // 10),
    "people": lambda n: "Name: " + "Aa " * (n // 3),
    "letters": lambda n: "Customer: A" + "a" * n,
    "addresses": lambda n: "Address: 1 A " * (n // 13) + "address is 1" + " A" * 99,
    "parts of addresses": lambda n: '{"city":"a"} "address":{' * (n // 23),
    "names told again": lambda n: "".join(f"王{chr(0x4E00 + i % 20000)}明女士，" for i in range(n // 18)),
    "one name told again": lambda n: "姓名：王明" + "王明" * (n // 6),
    "hidden addresses": lambda n: "地址：北京大学1234567 " * (n // 29),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_time_with_people_grows_with_the_text_alone(name: str) -> None:
    engine = warm("people")
    for change in (engine.texts, engine.reverse):
        assert growth(change, PEOPLE[name]) < BOUND


@pytest.mark.parametrize("kind", PIECES)
@settings(derandomize=True, max_examples=12, deadline=None, database=None)
@given(data=st.data())
def test_whatever_is_repeated(kind: str, data: st.DataObject) -> None:
    pieces = st.lists(st.sampled_from(PIECES[kind]), min_size=1, max_size=4)
    once, between = "".join(data.draw(pieces)), "".join(data.draw(pieces))
    text = once * 20 + between
    assert growth(warm("everything").texts, lambda n: text * (n // len(text))) < BOUND
