"""Codes of companies, which digits alone may be."""

from __future__ import annotations

import random

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_ZH = Deidentifier(policies.built_in()["zh-pii"], Keys(bytes(32)))


def test_digits_that_have_the_checksum_by_chance_are_no_code() -> None:
    rng = random.Random(1)
    numbers = [f"{rng.randrange(10**17, 10**18)}" for _ in range(20_000)]
    assert _ZH.texts(numbers).counts.get("CN_USCC", 0) < 20


@pytest.mark.parametrize(
    "code", ["911101080828461726", "91110108551385082Q", "91350211M000100Y43", "51335597691538641L"]
)
def test_a_code_needs_no_word(code: str) -> None:
    done = _ZH.texts([f"{code} 开票"])
    assert done.counts == {"CN_USCC": 1}
    assert _ZH.reverse(done.texts).texts == [f"{code} 开票"]


def test_digits_are_a_code_after_the_word() -> None:
    done = _ZH.texts(["税号 632886504950319302"])
    assert done.counts == {"CN_USCC": 1}
    assert _ZH.reverse(done.texts).texts == ["税号 632886504950319302"]


def test_what_is_none_stays_digits() -> None:
    [text] = _ZH.texts(["const X = 632886504950319302;"]).texts
    assert text.removeprefix("const X = ").removesuffix(";").isdigit()


@pytest.mark.parametrize(
    "number", ["1101 0519491231002X", "110105 19491231002X", "11010519491231 002X", "11 0105 19491231 002X"]
)
def test_a_resident_id_with_its_checksum_needs_no_word_in_groups_of_any_length(number: str) -> None:
    done = _ZH.texts([f"{number} 已登记", number.replace(" ", "")])
    assert done.counts == {"CN_ID": 2}
    assert done.texts[0].removesuffix(" 已登记").replace(" ", "") == done.texts[1]
    assert _ZH.reverse(done.texts).texts[0] == f"{number} 已登记"


@pytest.mark.parametrize("number", ["1101 051949123100 21", "1101 05194912310025"])
def test_digits_in_groups_of_any_length_are_no_resident_id_without_its_checksum(number: str) -> None:
    assert "CN_ID" not in _ZH.texts([number]).counts
