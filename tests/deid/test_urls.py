"""Addresses of the web beside each other."""

from __future__ import annotations

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_ZH = Deidentifier(policies.built_in()["zh-pii"], Keys(bytes(32)))


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://a.com,http://b.com;http://c.com", ["http://a.com", "http://b.com", "http://c.com"]),
        ("https://a.com/x?y=1;www.b.com,c", ["https://a.com/x?y=1", "www.b.com,c"]),
        ("https://a.com/x?u=http://b.com", ["https://a.com/x?u=http://b.com"]),
        ("mongodb://h1.com:27017,h2.com:27017/db", ["mongodb://h1.com:27017,h2.com:27017/db"]),
    ],
)
def test_urls_of_a_list_are_several(text: str, urls: list[str]) -> None:
    done = _ZH.texts([text])
    assert [pair.original for pair in done.mapping] == urls
    assert _ZH.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    ("text", "address", "after"),
    [
        ("http://⟦192.168.1.20⟧:8080/a/b", "192.168.1.20", ":8080/"),
        ("https://⟦192.168.1.20⟧", "192.168.1.20", ""),
        ("jdbc:mysql://⟦10.0.0.5⟧:3306/prod", "10.0.0.5", ":3306/"),
        ("redis://user:pw123@⟦192.168.001.020⟧/0", "192.168.001.020", "/"),
        ("mongodb://h1:27017,⟦10.0.0.5⟧:27018/db", "10.0.0.5", ":27018/"),
    ],
)
def test_an_address_in_a_url_is_that_of_the_text(text: str, address: str, after: str) -> None:
    before = text.index("⟦")
    text = text.replace("⟦", "").replace("⟧", "")
    plain = _ZH.texts([f"服务器 IP {address} 在线"])
    [pair] = plain.mapping
    done = _ZH.texts([text])
    assert done.texts[0][before:].startswith(pair.pseudo + after)
    assert pair.pseudo != address
    assert _ZH.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    "text", ["http://1.2.3.4.5/x1", "http://a1.2.3.4/x", "http://a.cn/10.0.0.5", "http://1.2.3.4a/x"]
)
def test_other_numbers_in_a_url_are_its_own(text: str) -> None:
    done = _ZH.texts([text])
    assert done.texts != [text]
    assert _ZH.reverse(done.texts).texts == [text]
