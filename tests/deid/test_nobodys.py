"""What looks like personal data and is nobody's: it stays, as training data would be damaged without need."""

from __future__ import annotations

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
        "http://127.0.0.1:8000/v1", "https://[::1]:80/x", "cudnn-8.9.2.26", "v1.2.3.14", "版本 10.2.3.45",
    ],
)  # fmt: skip
def test_what_is_left(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]
        assert engine.reverse([text]).texts == [text]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("zhang@corp.com(工作)", "EMAIL", "zhang@corp.com"),
        ("邮箱 git@example.com", "EMAIL", "git@example.com"),
        ("邮箱：wang@mail.unknown", "EMAIL", "wang@mail.unknown"),
        ("ip-10.12.13.45", "IPV4", "10.12.13.45"),
        ("redis://:secret123@localhost:6379/0", "URL", "redis://:secret123@localhost:6379/0"),
        ("http://localhost:secret@10.0.0.1/", "URL", "http://localhost:secret@10.0.0.1/"),
        ("http://localhost.example.com/a", "URL", "http://localhost.example.com/a"),
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
