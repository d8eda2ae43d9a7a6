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
    "quotes": lambda n: '"' * n,
    "backslashes": lambda n: "\\" * n,
}


def seconds(engine: Deidentifier, text: str) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.thread_time()
        engine.texts([text])
        best = min(best, time.thread_time() - start)
    return best


@pytest.mark.parametrize("name", NASTY)
def test_time_grows_with_the_text_alone(name: str) -> None:
    engine = Deidentifier(policies.built_in()["zh-pii"], Keys(bytes(16)))
    engine.texts(["warm 13812345678"])
    small, large = (seconds(engine, NASTY[name](size)) for size in (20_000, 200_000))
    # What grows with the square takes a hundred times as long; a fixed part only lowers the ratio.
    assert large < 40 * max(small, 0.001)


def test_patterns_of_a_policy_too() -> None:
    rules = (
        b"id: own\nversion: '1'\ntypes: {}\npatterns: [{name: OWN, pattern: '(a|aa|a?a){1,60}b{0,3}', action: replace}]"
    )
    engine = Deidentifier(policies.load(rules), Keys(bytes(16)))
    small, large = (seconds(engine, "a" * size) for size in (20_000, 200_000))
    assert large < 40 * max(small, 0.001)
