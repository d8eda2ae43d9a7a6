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
