"""Texts that are searched together, however many, become what each becomes by itself."""

from __future__ import annotations

import csv
import io
import json
import random
import unicodedata
from functools import cache

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier, Result, TextFormat
from services.runtime.deid.files import FileFormat, deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.recognisers.repeated import TOLD
from services.runtime.deid.rules import Rule

KEYS = Keys(bytes(32))
NAMED = {"PERSON": Rule(), "ADDRESS": Rule()}
POLICIES = {
    name: msgspec.structs.replace(policies.built_in()[name], types=policies.built_in()[name].types | NAMED)
    for name in ("zh-pii", "en-pii")
}
ENGINES = {name: Deidentifier(policy, KEYS) for name, policy in POLICIES.items()}

SNIPPETS = (
    # Words alone, as at the end of a text, and what they would announce.
    "电话", "手机：", "phone", "Tel:", "fax ", "call me at", "身份证", "身份证号：", "卡号", "银行卡", "账号",
    "card number",
    "Visa", "税号", "护照", "passport", "通行证", "台胞证", "IMEI", "串号", "QQ", "qq:", "微信号", "微信：", "wechat",
    "SSN",
    "IBAN", "生日", "DOB:", "车牌", "密码", "密码是", "password=", "token:", "Bearer", "Authorization: Basic",
    "MAC地址",
    "姓名", "姓名：", "name:", "联系人", "客户", "地址", "住址：", "address:", "ISBN", "isbn:", "IP", "来源", "订单号",
    "版本", "金额", "order", "邮箱", "email:", "mail to", "用户：", "先生", "女士", "(电话)", "（手机）", "+", "+86",
    "0086",
    "+86 ", "86-", "(", "（", ")", "-", ".", "#", "$", "¥", "￥", "v", "vx", "wx", "x", "X", "0x", "a-", "gpt-4o-", "",
    " ", "\n", '"', "\\", "{", "[", "://", "http://", "https://", "www.", "@", "a@", "@b.com", ":", "::", "日", "月",
    "年",
    # Parts of values.
    "1", "12", "138", "1234", "5678", "0", "00", "0755", "010", "212", "555", "15 分钟", "150 分钟", "2024", "03", "05",
    "86", "4111", "1111", "6222", "110105", "19491231", "0021", "12345678", "abcdef12", "GB82", "WEST", "1.2", "3.4",
    "元",
    "元旦", "万元", "RMB", "学", "挂", "京A", "京", "12345", "fe80", "ab:cd", "-----BEGIN RSA PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----", "q9==", "MIIEpAIBAAKCAQEA75qIsvq5aF7bQ9cXabcd", "eyJ", "sk-", "January", "5 March",
    # Whole values.
    "13812345678", "138 1234 5678", "138-1234-5678", "8613812345678", "(138)12345678", "张三 138 1234 5678 45 北京",
    "0755-82345678", "010 6234 5678", "02162345678", "+86 10 62345678", "4155552671", "(415) 555-2671", "415.555.2671",
    "0044 20 7946 0958", "+44 20 7946 0123", "+44 (0)20 7946 0958", "0044 20 7946 0958 or +44 20 7946 0123",
    "+852 91234567", "88 165 40 96", "62345678", "400-820-8820", "110105194912310021", "11010519491231002X",
    "110105 19491231 002X", "110105491231002", "6222021234567890128", "4111 1111 1111 1111", "4111111111111111",
    "378282246310005", "3782 822463 10005", "6222 0212 3456 7890 12 3", "1100 1234 5678 9123 4567",
    "卡4008208820", "卡4111 1111 1111 1111 12/25 123", "91350211M000100Y43", "9135 0211 M000 100Y 43", "E12345678",
    "H12345678", "AB123456", "35-693803-564380-9", "356938035643809", "123-45-6789", "123 45 6789", "123456789",
    "GB82 WEST 1234 5698 7654 32", "GB82WEST12345698765432", "1990-03-07", "1990/3/7", "03/07/1990", "1990.03.07",
    "19900307", "1990年3月7日", "March 7, 1990", "7 Mar 1990", "一九九〇年三月七日", "京A12345", "京AD 12345",
    "京A·D12345",
    "10.12.13.45", "1.2.3.4", "192.0.2.1", "2001:db8::1", "fe80::1ff:fe23:4567:890a", "::1", "1:2:3:4:5:6:7:8",
    "00:1A:2B:3C:4D:5E", "001a.2b3c.4d5e", "001A2B3C4D5E", "a@b.com", "zhangsan#163.com", "W@x.sum(0)", "a@b.unknown",
    "邮箱 zhangsan#163.com", "file@2x.png", "foo(bar@baz.qux)", "git@github.com:foo/bar.git", "http://localhost:8080",
    "http://localhost:8080 联系 admin@example.com", "https://127.0.0.1:80", "http://localhost:secret@10.0.0.1/",
    "https://a.com/u/zhangsan", "www.example.org/1", "redis://:secret123@localhost:6379/0", "http://[::1]:80",
    "zhangsan_88", "wxid_abc123", "vx13812345678", "abc123456", "Abc123!x", "p@ss w0rd", "abcdef1234567890ABCDEF",
    "sk-abcdefghijklmnop1234567890", "AKIAABCDEFGHIJKLMNOP", "eyJhbGciOi.eyJzdWIiOi.abc", "9787111213826", "7111213823",
    "1234567", "12345678901234567890", "0.1234567", "1.13812345678", "3.14159265358979", "a-20241022",
    "gpt-4o-2024-08-06", "550e8400-e29b-41d4-a716-446655440000", "d41d8cd98f00b204e9800998ecf8427e", "0x12345678",
    "13812345678元", "¥13812345678", "１３８１２３４５６７８", "＋４４ 20 7946 0123", "王小明", "王小明先生", "李雷",
    "John Smith",
    "北京市朝阳区建国路1号", "联系人王小明", "身份证：1101 0519 4912 3100 2X", "税号：9135 0211 M000 100Y 43",
    "电话 138/1234/5678",
    "ISBN 9787111213826", "QQ 12345678", "密码：Abc123!x", "客服：请提供您的微信号", "用户：zhangsan_88",
    "86-755-82345678", "0086-138-1234-5678", "013812345678", "6222 0212 3456 7890", "1 6222 0212 3456 7890",
    "E-12345678",
    "E1234 5678", "1990-Mar-07", "[07/Mar/1990:10:00:00]", "03-07-1990", "212/555-1234", "128 256 512",
    "5999 4999 3999",
    "車牌：", "軍V12345", "粵B12345", "微信號：", "手機", "账户", "招商银行北京分行", "出生日期：", "900307",
    "90-03-07", "3/7/90", "MAC地址：", "001a-2b3c-4d5e", "工号", "，SKU：", "doi:", "10.1145/3292500.3330701",
    "欧阳娜娜", "4111.1111.1111.1111",
    "GB82-WEST-1234-5698-7654-32", "138 1234 5678 139 8765 4321", "010 6234 5678 010 6234 5679", "1990-03-07-001",
)  # fmt: skip

NAMES = ("text", "phone", "电话", "身份证", "卡号", "password", "密码", "name", "姓名", "地址", "wechat", "微信",
"token",
         "birthday", "isbn", "order", "qq", "ip", "ssn", "email", "mac",
         "doi", "cardNumber", "mac_addr", "dob")  # fmt: skip

EXAMPLES = settings(max_examples=8, phases=[Phase.generate], deadline=None, derandomize=True, database=None)
# A whole pool that is shuffled has as many neighbours as snippets, where a short list hardly ever has two that matter.
orders = st.integers(0, 2**32).map(random.Random)


def shuffled(rng: random.Random) -> list[str]:
    return rng.sample(SNIPPETS, len(SNIPPETS))


@cache
def result(policy: str, text: str, format: TextFormat) -> Result:  # noqa: A002
    return ENGINES[policy].texts([text], format=format)


def alone(policy: str, text: str, format: TextFormat) -> str:  # noqa: A002
    return result(policy, text, format).texts[0]


def same(policy: str, texts: list[str], format: TextFormat = "text") -> None:  # noqa: A002
    together = ENGINES[policy].texts(texts, format=format).texts
    assert together == [alone(policy, text, format) for text in texts]


@pytest.mark.parametrize("policy", POLICIES)
@EXAMPLES
@given(rng=orders)
def test_texts(policy: str, rng: random.Random) -> None:
    same(policy, shuffled(rng))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("escaped", [False, True])
@EXAMPLES
@given(rng=orders)
def test_documents(policy: str, rng: random.Random, *, escaped: bool) -> None:
    fields = list(zip(NAMES * len(SNIPPETS), SNIPPETS, strict=False))
    rng.shuffle(fields)
    same(policy, [json.dumps({name: value}, ensure_ascii=escaped) for name, value in fields], "json")


@pytest.mark.parametrize("policy", POLICIES)
@EXAMPLES
@given(rng=orders)
def test_fields_and_items(policy: str, rng: random.Random) -> None:
    values, record = shuffled(rng), {name: rng.choice(SNIPPETS) for name in NAMES}
    for document, parts in (
        (json.dumps(record), [json.dumps({name: value}) for name, value in record.items()]),
        (json.dumps(values), [json.dumps([value]) for value in values]),
    ):
        repeated = [(value, part) for part in parts for value in told(policy, part)]
        for changed, part in zip(
            strings(ENGINES[policy].texts([document], format="json").texts[0]), parts, strict=True
        ):
            if not any(value in folded(strings(part)[0]) and other != part for value, other in repeated):
                assert changed == strings(alone(policy, part, "json"))[0]


def strings(document: str) -> list[str]:
    """Of one level."""
    values = json.loads(document)
    return list(values.values() if isinstance(values, dict) else values)


def told(policy: str, part: str) -> list[str]:
    """Values that a word may tell, for the other parts of a document too."""
    return [folded(entry.original) for entry in result(policy, part, "json").mapping if entry.type in {*TOLD, "PERSON"}]


def folded(text: str) -> str:
    """As other spellings of a value have it, too."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text))).lower()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@settings(EXAMPLES, max_examples=2)
@given(rng=orders)
def test_files(tmp_path_factory: pytest.TempPathFactory, policy: str, kind: FileFormat, rng: random.Random) -> None:
    folder = tmp_path_factory.mktemp("files")
    source = folder / f"data.{kind}"
    source.write_text(_written(kind, rng.choice(NAMES), shuffled(rng)), encoding="utf-8")
    new = set[bytes]()
    for chunk_bytes in (1, 1000, 1 << 20):
        deidentify_file(source, folder / "out", POLICIES[policy], KEYS, chunk_bytes=chunk_bytes)
        new.add((folder / "out").read_bytes())
    assert len(new) == 1


def _written(kind: FileFormat, name: str, values: list[str]) -> str:
    if kind == "jsonl":
        return "".join(json.dumps({name: value}, ensure_ascii=False) + "\n" for value in values)
    table = io.StringIO(newline="")
    csv.writer(table).writerows([(name, "b"), *zip(values, reversed(values), strict=True)])
    return table.getvalue()
