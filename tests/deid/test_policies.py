"""Policies: what is valid, and each thing that is not, named by its place in both languages."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from contracts.problems import Refused, Wrong
from services.runtime import complaints
from services.runtime.deid import policies
from services.runtime.deid.keys import KeySource
from services.runtime.deid.kinds import TYPES
from services.runtime.deid.policies import Policy
from services.runtime.deid.refusals import PolicyRefused
from services.runtime.deid.rules import Action, Output, Pattern, Rule
from services.runtime.deidentifying.policies import KnownPolicy, sha256_of
from tests.platform.serving import ROOT

VALID = """
id: own
version: 2026-02-03
types:
  CN_PHONE: {}
"""


def test_the_built_in_ones() -> None:
    assert set(policies.built_in()) == {"default", "zh-pii", "en-pii"}
    assert policies.built_in()["default"].version == "2024-01-01"
    left_out = {name: set(TYPES) - set(policy.types) for name, policy in policies.built_in().items()}
    assert left_out == {
        "default": set(TYPES) - {"NUMBER"},
        "zh-pii": {"PERSON", "ADDRESS", "CREDIT_CARD", "US_PHONE"},
        "en-pii": {"PERSON", "ADDRESS", "BANK_CARD", "CN_PHONE", "CN_LANDLINE"},
    }


def test_a_version_that_looks_like_a_date_is_text() -> None:
    assert policies.load(VALID.encode()).version == "2026-02-03"


@pytest.mark.parametrize(
    ("text", "pointers"),
    [
        ("", [""]),
        ("[1]", [""]),
        ("a: [", [""]),
        ("id: own", ["/version"]),
        (VALID + "colour: red\n", ["/colour"]),
        (VALID + "min_score: high\n", ["/min_score"]),
        (VALID + "min_score: 2\n", ["/min_score"]),
        (VALID + "output: fake\nkey: none\n", ["/key", "/output"]),
        (VALID + "  SHOE_SIZE: {}\n", ["/types/SHOE_SIZE"]),
        (VALID + "  EMAIL: {action: burn}\n", ["/types/EMAIL/action"]),
        (VALID + "  EMAIL: {colour: red}\n", ["/types/EMAIL/colour"]),
        (VALID + "  EMAIL: {output: unissuable}\n", ["/types/EMAIL/output"]),
        (VALID + "  EMAIL: {action: date_shift}\n", ["/types/EMAIL/action"]),
        (VALID + "  CN_ID: {keep_last: 4}\n", ["/types/CN_ID/keep_last"]),
        (VALID + "  CN_ID: {action: hash, mask: '#', output: valid}\n", ["/types/CN_ID/mask", "/types/CN_ID/output"]),
        (VALID + "  CN_ID: {days: 4, min_digits: 3}\n", ["/types/CN_ID/days", "/types/CN_ID/min_digits"]),
        (VALID + "  DATE: {action: mask, days: 4}\n", ["/types/DATE/days"]),
        (VALID + "  CN_PLATE: {output: invalid}\n", ["/types/CN_PLATE/output"]),
        (VALID + "  EMAIL: {action: mask, mask: '1'}\n", ["/types/EMAIL/mask"]),
        (
            VALID + "patterns: [{name: OWN, pattern: ab, days: 3, output: unissuable}]\n",
            ["/patterns/0/days", "/patterns/0/output"],
        ),
        (VALID + "  EMAIL: {action: mask, mask: '\"'}\n", ["/types/EMAIL/mask"]),
        (VALID + "  CN_PHONE: {}\n", ["/types/CN_PHONE"]),
        (VALID + "  EMAIL: {mask: x, mask: y}\nid: two\n", ["/id", "/types/EMAIL/mask"]),
        (
            VALID + "patterns: [{name: A1, pattern: ab, pattern: b, name: B1}]\n",
            ["/patterns/0/name", "/patterns/0/pattern"],
        ),
        (VALID + "  <<: {QQ: {}}\n", ["/types/<</QQ", "/types/<<"]),
        (VALID + "<<: {output: valid}\n", ["/<<"]),
        (VALID + "  !!merge <<: {QQ: {}}\n", [""]),
        (VALID + "a: &a [1]\nb: *a\n", [""]),
        (VALID + "patterns: [{name: OWN}]\n", ["/patterns/0/pattern"]),
        (VALID + "patterns: [{name: EMAIL, pattern: abc}]\n", ["/patterns/0/name"]),
        (VALID + "patterns: [{name: OWN, pattern: '(a'}]\n", ["/patterns/0/pattern"]),
        (
            VALID + "patterns: [{name: EMAIL, pattern: '(a'}, {name: B2, pattern: 'b*'}]\n",
            ["/patterns/0/name", "/patterns/0/pattern", "/patterns/1/pattern"],
        ),
        ("id: own\nversion: '1'\ntypes: {}\n", ["/types"]),
        ("id: own\nversion: '1'\n", ["/types"]),
        (VALID + "patterns: [{name: OWN, pattern: 'a+'}]\n", ["/patterns/0/pattern"]),
        (VALID + "patterns: [{name: OWN, pattern: 'a*'}]\n", ["/patterns/0/pattern"]),
        (VALID + "patterns: [{name: OWN, pattern: '(?=a)b'}]\n", ["/patterns/0/pattern"]),
        (VALID + "patterns: [{name: OWN, pattern: '(a)\\1'}]\n", ["/patterns/0/pattern"]),
        (VALID + 'description: "\\ud800"\n', ["/description"]),
        (VALID + '  "\\udfff": {}\n', ["/types"]),
        (VALID + "  1: {}\n  null: {}\n  on: {}\n  [a]: {}\n", ["/types/1", "/types/null", "/types"]),
        (VALID + "  on: {}\n", ["/types/on"]),
        (VALID + "  NUMBER: {min_digits: 010}\n", ["/types/NUMBER/min_digits"]),
        (VALID + "  DATE: {action: date_shift, days: 1:30}\n", ["/types/DATE/days"]),
        (VALID + "  NUMBER: {min_digits: !!int 0x10}\n", [""]),
        (VALID + "min_score: .nan\n", ["/min_score"]),
        (
            VALID + "  SHOE_SIZE: {foo: 1}\n  NUMBER: {foo: 1, bar: 2, min_digits: 0}\n",
            [
                *(
                    f"/types/{at}"
                    for at in ("SHOE_SIZE/foo", "NUMBER/foo", "NUMBER/bar", "NUMBER/min_digits", "SHOE_SIZE")
                )
            ],
        ),
        (
            VALID + "colour: 1\npatterns: [{name: a, pattern: 'a*'}, 1, {name: EMAIL, pattern: 'a*', score: 2}]\n",
            ["/colour", "/patterns/0/name", "/patterns/1", "/patterns/2/score"],
        ),
        (
            VALID + "min_score: 2\npatterns: [{}, {name: EMAIL, pattern: 'a*'}]\n",
            [
                "/min_score",
                "/patterns/0/name",
                "/patterns/0/pattern",
                "/patterns/1/name",
                "/patterns/1/pattern",
            ],
        ),
        (
            VALID
            + "patterns: [{name: OWN, pattern: abcde, score: 0.1}, {name: TWO, pattern: abcde, min_score: 0.9}]\n",
            ["/patterns/0/score", "/patterns/1/score"],
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, pointers: list[str]) -> None:
    with pytest.raises(PolicyRefused) as refused:
        policies.load(text.encode())
    assert [wrong.pointer for wrong in refused.value.wrongs] == pointers
    assert all(wrong.zh and wrong.en for wrong in refused.value.wrongs)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: " + "[" * 60_000, "is nested too deeply"),
        (VALID + "a: " + "{a: " * 17 + "1" + "}" * 17, "is nested too deeply"),
        ("patterns: [" + "{}, " * 15_000, "must have at most 3000 keys and values"),
        ("patterns:\n" + "- {}\n" * 10_000 + "- [", "must have at most 3000 keys and values"),
        ("{" + "".join(f"k{n}, " for n in range(9000)) + "*a", "must have at most 3000 keys and values"),
    ],
)
def test_what_is_far_too_much_is_read_no_further(text: str, reason: str) -> None:
    """It could take seconds, or be no YAML at all in the end."""
    with pytest.raises(PolicyRefused) as refused:
        policies.load(text.encode())
    [wrong] = refused.value.wrongs
    assert wrong.en == reason


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"k{n}: 1\n" for n in range(1000)),
        "types: {" + ", ".join(f"K{n}: {{x: 1}}" for n in range(600)) + "}",
        "types: {CN_PHONE: {" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}}",
    ],
)
def test_no_more_is_told_than_is_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()
    wrong_of = complaints.wrong_of

    def telling(message: str, under: str | None = None) -> Wrong:
        told.append(message)
        return wrong_of(message, under)

    monkeypatch.setattr(complaints, "wrong_of", telling)
    with pytest.raises(PolicyRefused) as refused:
        policies.load(f"id: own\nversion: '1'\n{text}".encode())
    assert len(refused.value.wrongs) == complaints.MOST_WRONGS
    assert len(told) < 2 * complaints.MOST_WRONGS


def test_patterns_alone_are_a_policy() -> None:
    policy = policies.load(b"{id: own, version: '1', patterns: [{name: OWN, pattern: 'E-[0-9]{4}', action: mask}]}")
    assert policy.types == {}


def test_what_was_accepted_stays_one() -> None:
    useless = VALID + "  CN_ID: {keep_last: 4}\n"
    assert policies.load(useless.encode(), on_record=True).types["CN_ID"].keep_last == 4


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_shows_a_policy_and_names_every_key_and_type(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    [shown] = re.findall(r"policies/[^\n]*<<'YAML'\n(.*?)^YAML$", text, re.MULTILINE | re.DOTALL)
    policy = policies.load(shown.encode())
    assert policy.patterns
    keys = {key for kind in (Policy, Rule, Pattern) for key in kind.__struct_fields__}
    words = {*keys, *TYPES, *get_args(Action), *get_args(Output), *get_args(KeySource)}
    assert words - set(re.findall(r"`(\w+)`", text)) == set()


def test_values_are_those_of_json() -> None:
    text = VALID + "  NUMBER: {min_digits: 10, min_score: 1e-1}\ndescription: yes\n"
    policy = policies.load(text.encode())
    assert (policy.types["NUMBER"], policy.description) == (Rule(min_digits=10, min_score=0.1), "yes")


def test_a_policy_that_an_earlier_release_took_is_refused_where_it_is_used() -> None:
    content = VALID + "colour: red\n"
    known = KnownPolicy(id="own", version="2026-02-03", content=content, sha256=sha256_of(content))
    with pytest.raises(Refused) as refused:
        known.loaded()
    assert refused.value.code == "policy_outdated"


def test_not_utf8_and_too_long() -> None:
    for content in (b"\xff", b"#" * (policies.MOST_BYTES + 1)):
        with pytest.raises(PolicyRefused):
            policies.load(content)
