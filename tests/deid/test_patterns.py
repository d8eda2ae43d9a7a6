"""Patterns of a policy's author: each text by itself, as `re` finds them, at a bounded cost."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.automata import Automaton
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.expressions import MOST_MILLISECONDS
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.policies import Policy
from services.runtime.deid.refusals import PolicyRefused
from tests.deid.test_linear import seconds

KEYS = Keys(bytes(16))


def policy(*expressions: str, action: str = "replace", types: str = "{}") -> Policy:
    own = [{"name": f"OWN{n}", "pattern": expression, "action": action} for n, expression in enumerate(expressions)]
    return policies.load(
        f"{{id: own, version: '1', types: {types}, patterns: {json.dumps(own, ensure_ascii=False)}}}".encode()
    )


EXPRESSIONS = [
    "工号[^,]{1,8}", "备注：.{1,20}", r"EMP\W{0,2}[0-9]{4}\W?", r"^E\d{6}$", r"E\d{6}$", "a[0-9]{1,20}", r"(?m)^\d{2}",
    "[^ ]{2,3}?", "(?:a|ab)(?:c|bcd)", "[一-龥]{2}", r"\bE\d{1,6}\b",
]  # fmt: skip
PIECES = [
    "工号",
    "备注：",
    "EMP",
    "E123456",
    "1234",
    "a1",
    "7",
    ",",
    " ",
    "\n",
    "abcd",
    "甲丙",
    "é",
    "\U0001f600",
    "-",
    '"',
]


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(EXPRESSIONS),
    st.lists(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), min_size=1, max_size=5),
)
def test_each_text_is_searched_by_itself_as_by_re(expression: str, texts: list[str]) -> None:
    own = Deidentifier(policy(expression), KEYS)
    expected = [re.sub(expression.replace("$", r"\Z"), "<OWN0>", text, flags=re.ASCII) for text in texts]
    assert own.texts(texts).texts == expected
    assert [own.texts([text]).texts[0] for text in texts] == expected
    documents = [json.dumps({"n": 1, "工号": text}, ensure_ascii=False) for text in texts]
    done = own.texts(documents, format="json").texts
    assert [list(json.loads(document).values())[-1] for document in done] == expected  # the name may match itself


@pytest.mark.parametrize("text", ['"号', 'a"b\n号', "\\号", "\t号", "/号"])
def test_escapes_of_json_are_single_characters_to_a_pattern(text: str) -> None:
    own = Deidentifier(policy("[^a]号"), KEYS)
    [done] = own.texts([json.dumps({"x": text}, ensure_ascii=False)], format="json").texts
    assert json.loads(done)["x"] == re.sub("[^a]号", "<OWN0>", text)


def test_neither_neighbours_nor_chunks_count(tmp_path: Path) -> None:
    rng = random.Random(4)
    made = ["手机13865302297 a29356@qq.com", "MIIEpAIBAAKCAQEA3525964 a29356@qq.com", "工号12", "工号", "x,"]
    records = [json.dumps({"a": rng.choice(made), "b": rng.choice(made)}, ensure_ascii=False) for _ in range(300)]
    (tmp_path / "data.jsonl").write_text("\n".join(records))
    own = policy("a[0-9]{2,20}", "工号[^,]{0,8}", "[0-9]{2,20}[^0-9]{1,30}")
    outputs = set()
    for size in (100, 5_000, 1_000_000):
        deidentify_file(tmp_path / "data.jsonl", tmp_path / "out.jsonl", own, KEYS, chunk_bytes=size)
        outputs.add((tmp_path / "out.jsonl").read_bytes())
    assert len(outputs) == 1


def test_in_one_text_with_recognised_types() -> None:
    own = Deidentifier(policy(r"EMP-\d{4}", types="{CN_PHONE: {action: replace}}"), KEYS)
    assert own.texts(["１３８１２３４５６７８ ＥＭＰ-1234 EMP-12345"]).texts == ["<CN_PHONE> <OWN0> <OWN0>5"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("b*", "empty text"),
        ("b{0,3}", "empty text"),
        ("(?:b|)", "empty text"),
        (r"\b", "empty text"),
        ("(?=a)b", "lookaround"),
        ("a(?!b)", "lookaround"),
        ("(?<=a)b", "lookaround"),
        (r"(a)\1", "backreferences"),
        ("(?>a)b", "atomic"),
        ("a{1,3}+", "possessive"),
        ("a+", "bounded repetitions"),
        ("a.*b", "bounded repetitions"),
        (r"\p{Han}{2}", "Python's re"),
        (r"\x{4e00}", "Python's re"),
        (r"\Qa.b\E", "Python's re"),
        ("[[:alpha:]]{2,4}", "Python's re"),
        ("ab{,3}", "Python's re"),
        (r"a\Z", "of RE2"),
        (r"\u4e00", "of RE2"),
        ("(a", "of RE2"),
        ("(?:(?:ab?){100}c){10}" * 5, "too large"),
        ("(?:[ab]{0,100}a[ab]{100}c){1,2}", "ms together"),
        ("a", "ms together"),
    ],
)
def test_one_that_does_not_fit_is_told_why(pattern: str, said: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        policy(pattern)
    [wrong] = refused.value.wrongs
    assert wrong.pointer == ("/patterns" if said == "ms together" else "/patterns/0/pattern")
    assert said in wrong.en
    assert wrong.zh


def test_what_people_write_is_taken() -> None:
    resident = r"[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]"
    policy(resident, r"EMP-\d{4,6}", "工号[^,]{1,8}", r"1[3-9]\d{9}")
    policy(*(rf"^{letter}{{2}}\d{{8}}$" for letter in "ABCDEFGHIJKLMNOP"), "备注：.{1,64}", r"1[3-9]\d{9}")


AMBIGUOUS = ["a[ab]{20}c", "[A-Z][A-Z0-9]{17}", "[ab]{14}a[ab]{0,16}", "a(?:[ab]{0,16}a[ab]{14}c)?", "a.{13}b"]
PLAIN = ["a", "(?:a?){60}a{60}", "工号[^,]{1,8}", r"EMP-\d{4,6}", "a.{9}b", "(?:a|aa|a?a){1,60}b{0,3}"]


def test_the_cost_of_an_ambiguous_one_is_seen() -> None:
    cost = {expression: Automaton(expression).costs()[0] for expression in (*AMBIGUOUS, *PLAIN)}
    assert min(cost[expression] for expression in AMBIGUOUS) > 30
    assert max(cost[expression] for expression in ("工号[^,]{1,8}", r"EMP-\d{4,6}", "(?:a?){60}a{60}")) < 6
    assert Automaton("a", ignore_case=True).costs()[0] == cost["a"]


def test_no_policy_takes_more_than_the_limit_foresees() -> None:
    """Four times what it foresees, as machines differ; backtracking, or a square, would take thousands of times."""
    rng = random.Random(2)
    texts = ["".join(rng.choices(letters, k=100_000)) for letters in ("a", "ab", "A1", "abbbb", "a\n,b")] + [
        "EMP-1234" * 12_500
    ]
    for expressions in (
        ["(?:a?){60}a{60}"] * 20,
        ["a[ab]{20}c"],
        ["a[ab]{2}"],
        ["abab(?:[ab]{0,60}c)?"],
        ["[ab]{4}"] * 3,
        [r"EMP-\d{4,6}"] * 10,
    ):
        own = Deidentifier(policy(*expressions, action="pseudonymise"), KEYS)
        assert min(max(seconds(own.texts, text) for text in texts) for _ in range(3)) < 4e-3 * MOST_MILLISECONDS
