"""Addresses of the web: beside each other, what of them stays, and those that are constants."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    "text",
    [
        "fetch('⟦⟧').then(r=>r.json())",
        "requests.get('⟦⟧',timeout=5)",
        "['⟦⟧','⟦⟧']",
        "{'a':'⟦⟧','b':'⟦⟧'}",
        "var u='⟦⟧';var v=1",
        "'⟦⟧'.format(1)",
        "getConnection('jdbc:⟦⟧','root')",
        "[⟦⟧](⟦⟧)",
        "![⟦⟧](⟦⟧),",
        "&quot;⟦⟧&quot;",
        "&lt;a href=&quot;⟦⟧&quot;&gt;text&lt;/a&gt;",
        "&#60;⟦⟧&#62;",
        "⟦⟧&nbsp;then",
        "⟦⟧&amp;",
        "⟦⟧&abcd;",
        "(⟦⟧&#39;)",
        "go(&#39;⟦⟧&#39;,&apos;⟦⟧&apos;,1)",
    ],
)
@pytest.mark.parametrize("url", ["https://a.example.com/x", "www.example.com"])
def test_what_encloses_a_url_is_none_of_it(text: str, url: str) -> None:
    text = text.replace("⟦⟧", url)
    done = _ZH.texts([text])
    assert [pair.original for pair in done.mapping] == [url]
    assert done.texts == [text.replace(url, done.mapping[0].pseudo)]
    assert _ZH.reverse(done.texts).texts == [text]


def test_a_url_may_have_a_quote() -> None:
    assert _pseudonym("https://a.example.com/it's/x")


@pytest.mark.parametrize(
    ("text", "address", "after"),
    [
        ("http://⟦192.168.1.20⟧:8080/a/b", "192.168.1.20", ":8080/"),
        ("https://⟦192.168.1.20⟧", "192.168.1.20", ""),
        ("jdbc:mysql://⟦10.0.0.5⟧:3306/prod", "10.0.0.5", ":3306/"),
        ("redis://user:pw123@⟦192.168.001.020⟧/0", "192.168.001.020", "/"),
        ("mongodb://h1:27017,⟦10.0.0.5⟧:27018/db", "10.0.0.5", ":27018/"),
        ("https://[⟦2001:db8::1⟧]:443/x", "2001:db8::1", "]:443/"),
        ("redis://user:pw123@[⟦2001:DB8:0:00AB::FE⟧]", "2001:DB8:0:00AB::FE", "]"),
        ("https://[⟦2001:db8::⟧1.2.3.4]/x", "2001:db8::", ""),
        ("https://[::ffff:⟦1.2.3.4⟧]/x", "1.2.3.4", "]/"),
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


@given(
    host=st.ip_addresses(v=6).filter(lambda address: int(address) > 0xFF).map(str)
    | st.sampled_from(["1::", "fe80::1%25eth0", "::ffff:1.2.3.4", "64:ff9b::1.2.3.4"]),
    user=st.sampled_from(["", "bob@", "bob:12345@"]),
    after=st.sampled_from(["", ":443", "/x", ":80,[2001:db8::2]:81/[a::b]"]),
)
def test_a_host_stays_an_address(host: str, user: str, after: str) -> None:
    new = _pseudonym(f"http://{user}[{host}]{after}").rpartition("@")[2]
    IPv6Address(new[new.index("[") + 1 : re.search("[]%]", new).start()])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["http://1.2.3.4.5/x1", "http://a1.2.3.4/x", "http://a.cn/10.0.0.5", "http://1.2.3.4a/x"]
)
def test_other_numbers_in_a_url_are_its_own(text: str) -> None:
    done = _ZH.texts([text])
    assert done.texts != [text]
    assert _ZH.reverse(done.texts).texts == [text]


def _pseudonym(url: str) -> str:
    done = _ZH.texts([f"见 {url} ，"])
    assert [(pair.type, pair.original) for pair in done.mapping] == [("URL", url)]
    assert _ZH.reverse(done.texts).texts == [f"见 {url} ，"]
    return done.mapping[0].pseudo


@given(escapes=st.lists(st.integers(0, 255), min_size=1, max_size=12), form=st.sampled_from(["%{:02X}", "%{:02x}"]))
def test_escapes_stay_escapes(escapes: list[int], form: str) -> None:
    path = "".join(form.format(byte) for byte in escapes)
    new = _pseudonym(f"https://a.example.com/x?q={path}")
    assert re.fullmatch("(?:%[0-9A-Fa-f]{2})+", new.partition("=")[2])


@pytest.mark.parametrize(
    "url", ["https://a.example.com/100%sure/a", "https://a.example.com/50%gain%", "http://a.cn/%zz%1g"]
)
def test_a_percent_sign_that_escapes_nothing(url: str) -> None:
    assert _pseudonym(url) != url


@given(port=st.integers(1, 65535))
def test_a_port_stays(port: int) -> None:
    for url in (
        f"http://bob:12345@a.example.com:{port}/x:{port}",
        f"http://a.example.com:{port}",
        f"http://b.cn:{port}?a",
    ):
        new = urlsplit(_pseudonym(url))
        assert new.port == port
        assert new.password != "12345"


def test_ports_of_a_list_stay() -> None:
    new = _pseudonym("mongodb://h1.com:27017,h2.com:27018/db:27019")
    assert re.findall(":[0-9]+", new)[:2] == [":27017", ":27018"]
    assert not new.endswith(":27019")


def test_entities_stay() -> None:
    new = _pseudonym("https://a.example.com/x?ab=1&amp;cd=2&#39;&#x27;&efghij;k=3")
    assert re.findall("&[^;]*;", new)[:3] == ["&amp;", "&#39;", "&#x27;"]
    assert "&efghij;" not in new


@pytest.mark.parametrize(
    "text",
    [
        '<html xmlns="http://www.w3.org/1999/xhtml">',
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>",
        '<a xsi:schemaLocation="http://maven.apache.org/POM/4.0.0\n  http://maven.apache.org/xsd/maven-4.0.0.xsd">',
        '<b xsi:schemaLocation="http://www.example.org/ns place/ns.xsd http://www.example.org/2024/01/02 x.xsd">',
        '<c xsi:noNamespaceSchemaLocation="https://www.example.org/1.xsd">',
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">',
        '{"$schema": "http://json-schema.org/draft-07/schema#"}',
        'text = "<svg xmlns=\\"http://www.w3.org/2000/svg\\">"',
    ],
)
def test_constants_stay(text: str) -> None:
    assert _ZH.texts([text]).texts == [text]
    assert _ZH.reverse([text]).texts == [text]


def test_a_schema_of_json_stays() -> None:
    text = '{"$schema":"http://json-schema.org/draft-07/schema#","a":"http://json-schema.org/draft-07/schema#"}'
    assert _ZH.texts([text], format="json").counts == {"URL": 1}


@pytest.mark.parametrize(
    "text",
    ["xmlns，见 {}", '<!DOCTYPE html><a href="{}">', 'xmlns="http://www.w3.org/1999/xhtml" href="{}"', "$schemas: {}"],
)
def test_an_address_beside_a_constant(text: str) -> None:
    assert [pair.original for pair in _ZH.texts([text.format("http://a.example.com/x")]).mapping] == [
        "http://a.example.com/x"
    ]
