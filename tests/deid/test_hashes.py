"""What masks and hashes leave: one hash for all spellings of a value, and for no other."""

from __future__ import annotations

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

HASHED = "id: hashed\nversion: '1'\ntypes: {%s: {action: hash}}"


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        ("DATE", ("2024-01-05", "2024/1/5", "2024年1月5日", "生日 20240105", "January 5, 2024", "二〇二四年一月五日")),
        ("IPV6", ("2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8:0:0:0:0:0:1")),
        ("CN_LANDLINE", ("010-62345678", "座机01062345678", "+86 10 6234 5678", "+86 (0)10-62345678")),
        ("CN_PHONE", ("13812345678", "+86 138-1234-5678", "１３８１２３４５６７８")),
        ("CN_PLATE", ("京A·12345", "车牌京A12345")),
        ("CN_PLATE", ("粤B12345", "粵B12345", "粵 B·12345")),
        ("CN_PLATE", ("车牌 军V12345", "車牌 軍V·12345")),
        ("IPV4", ("192.168.001.010", "192.168.1.10")),
        ("EMAIL", ("Zhang.San@qq.com", "zhang.san@QQ.com", "zhang [dot] san [at] qq.com", "邮箱 zhang.san#qq.com")),
        ("EMAIL", ("zhang.san@qq.com", "?email=Zhang.San%40qq.com")),
        ("URL", ("https://Foo.com/AbC", "HTTPS://foo.COM/AbC")),
        ("WECHAT", ("微信号：Zs_8888", "微信号：zs_8888")),
    ],
)
def test_a_hash_is_of_the_value_in_whatever_spelling(kind: str, spellings: tuple[str, ...]) -> None:
    done = Deidentifier(policies.load((HASHED % kind).encode()), Keys(bytes(32))).texts(list(spellings))
    assert done.counts == {kind: len(spellings)}
    assert len({pair.pseudo for pair in done.mapping}) == 1


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("IPV4", ("1.23.4.5", "12.3.4.5")),
        ("EMAIL", ("zhang.san@qq.com", "zhangsan@qq.com")),
        ("API_KEY", ("密码：Abc@1234", "密码：abc@1234")),
        ("URL", ("https://foo.com/AbC", "https://foo.com/abc")),
        ("URL", ("https://Me:Pw1@foo.com/", "https://me:pw1@foo.com/")),
    ],
)
def test_a_hash_tells_values_apart(kind: str, values: tuple[str, ...]) -> None:
    done = Deidentifier(policies.load((HASHED % kind).encode()), Keys(bytes(32))).texts(list(values))
    assert len({pair.pseudo for pair in done.mapping}) == len(values)


@pytest.mark.parametrize(("value", "masked"), [("1234567", "****567"), ("123", "**3"), ("12", "*2"), ("1", "*")])
def test_a_mask_keeps_half_at_most(value: str, masked: str) -> None:
    rules = "id: masked\nversion: '1'\ntypes: {NUMBER: {action: mask, keep_last: 8}}"
    assert Deidentifier(policies.load(rules.encode()), Keys(bytes(32))).texts([value]).texts == [masked]
