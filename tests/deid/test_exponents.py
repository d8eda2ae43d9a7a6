"""Numbers that a program wrote with an exponent are what they stand for, wherever they stand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

KEYS = Keys(bytes(32))
HASHED = "id: hashed\nversion: '1'\ntypes: {CN_PHONE: {action: hash}, NUMBER: {action: redact}, EMAIL: {}}"
OWN = "id: own\nversion: '1'\ntypes: {URL: {}}\npatterns: [{name: TAIL, pattern: '5678 [a-z]{1,4}', action: replace}]"
POLICIES = [*policies.built_in().values(), *(policies.load(text.encode()) for text in (HASHED, OWN))]
ENGINES = {policy.id: Deidentifier(policy, KEYS, 1) for policy in POLICIES}

MANTISSAS = {"13812345678": "1.3812345678", "62220212345678900": "6.22202123456789", "7654321": "7.654321"}
CONTEXTS = (
    "{}",
    "手机 {}",
    "手机：{}，请回电",
    "a {} b@c.cn {}",
    "{} ok {}",
    "http://a.cn/?n={} x",
    "-{}",
    "「{}」",
    "{}元",
)
texts = st.lists(
    st.tuples(st.sampled_from(CONTEXTS), st.sampled_from(sorted(MANTISSAS)), st.sampled_from(("e", "E", "e+", "E+0"))),
    max_size=4,
)


@pytest.mark.parametrize("policy", ENGINES)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(pieces=texts)
def test_it_becomes_what_the_plain_number_becomes(policy: str, pieces: list[tuple[str, str, str]]) -> None:
    """Where nothing is found in it, it stays as it was written."""
    plain = " ".join(context.replace("{}", number) for context, number, _ in pieces)
    spelled = [(number, f"{MANTISSAS[number]}{power}{len(number) - 1}") for _, number, power in pieces]
    given = " ".join(
        context.replace("{}", spelling) for (context, _, _), (_, spelling) in zip(pieces, spelled, strict=True)
    )
    engine = ENGINES[policy]
    [expected], [found] = engine.texts([plain]).texts, engine.texts([given]).texts
    for number, spelling in spelled:
        if number not in expected:
            assert spelling not in found
        found = found.replace(spelling, number)
    assert found == expected
    [document] = engine.texts([json.dumps({"n": given}, ensure_ascii=False)], format="json").texts
    [like] = engine.texts([json.dumps({"n": plain}, ensure_ascii=False)], format="json").texts
    for number, spelling in spelled:
        document = document.replace(spelling, number)
    assert document == like


@pytest.mark.parametrize(
    "text",
    [
        "6.02214076E+23", "1.5e9", "1.381234567812E3", "2.5E10", "12345e67-e29b-41d4-a716-446655440000",
        "a1.3812345678E10", "1.3812345678E10a", "0.1.3812345678E10", "1.3812345678E10.5",
    ],
)  # fmt: skip
def test_a_measure_or_a_code_is_no_such_number(text: str) -> None:
    originals = [pair.original for pair in ENGINES["zh-pii"].texts([text]).mapping]
    assert originals in ([], ["3812345678"])  # what is right of a point is no fraction after a letter or another point


def test_it_is_counted_and_told_as_the_plain_number() -> None:
    done = ENGINES["zh-pii"].texts(['{"a": "1.3812345678E+10", "b": "13812345678"}'], format="json")
    assert done.counts == {"CN_PHONE": 2}
    assert [pair.original for pair in done.mapping] == ["13812345678"]
