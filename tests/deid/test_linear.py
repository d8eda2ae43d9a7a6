"""No input takes more than its length: ten times as much text, some ten times as long, whatever the text."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

NASTY: dict[str, Callable[[int], str]] = {
    "dots": lambda n: "a." * (n // 2),
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
}


SMALL, LARGE = 25_000, 200_000
BOUND = 24
"""Eight times the text may take three times as long for each character; growth with the square takes 64 times."""


def seconds(engine: Deidentifier, text: str) -> float:
    """Of the processor, for this thread; other work on the machine counts little."""
    start = time.thread_time()
    engine.texts([text])
    return time.thread_time() - start


def growth(engine: Deidentifier, make: Callable[[int], str]) -> float:
    """How many times as long the large text takes, each measured at its best; a millisecond is too short to tell."""
    small, large = make(SMALL), make(LARGE)
    least, most = float("inf"), float("inf")
    for _ in range(5):
        least, most = min(least, seconds(engine, small)), min(most, seconds(engine, large))
        if most < BOUND * max(least, 0.001):
            break
    return most / max(least, 0.001)


@pytest.mark.parametrize("policy", ["zh-pii", "en-pii"])
@pytest.mark.parametrize("name", NASTY)
def test_time_grows_with_the_text_alone(name: str, policy: str) -> None:
    engine = Deidentifier(policies.built_in()[policy], Keys(bytes(16)))
    engine.texts(["warm 13812345678"])
    assert growth(engine, NASTY[name]) < BOUND


def test_patterns_of_a_policy_too() -> None:
    rules = (
        b"id: own\nversion: '1'\ntypes: {}\npatterns: [{name: OWN, pattern: '(a|aa|a?a){1,60}b{0,3}', action: replace}]"
    )
    engine = Deidentifier(policies.load(rules), Keys(bytes(16)))
    assert growth(engine, lambda n: "a" * n) < BOUND
