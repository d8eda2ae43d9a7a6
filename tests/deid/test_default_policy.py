"""The documented behaviour of the policy `default`."""

from __future__ import annotations

import re

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier, Replaced
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import TextRefused

KEYS = Keys(b"a secret of this installation")
DEFAULT = policies.built_in()["default"]


def seeded(seed: int = 42, keys: Keys = KEYS) -> Deidentifier:
    return Deidentifier(DEFAULT, keys, seed)


def test_every_run_of_digits_becomes_as_many_other_digits() -> None:
    result = seeded().texts(["客户手机号 13812345678"])
    found = re.fullmatch(r"客户手机号 (\d{11})", result.texts[0])
    assert found
    assert found[1] != "13812345678"
    assert result.mapping == [Replaced("NUMBER", "13812345678", found[1])]
    assert result.counts == {"NUMBER": 1}
    assert DEFAULT.version == "2024-01-01"


def test_no_short_run_stays_what_it_was() -> None:
    texts = [str(number).zfill(width) for width in (1, 2, 3) for number in range(10**width)]
    after = seeded().texts(texts).texts
    assert all(old != new and len(old) == len(new) for old, new in zip(texts, after, strict=True))
    assert len(set(after)) == len(texts)


def test_the_same_original_is_the_same_within_a_request() -> None:
    result = Deidentifier(DEFAULT, KEYS).texts(["a 123456 b 123456", "1 123456", ""])
    (number,) = {entry.pseudo for entry in result.mapping if entry.original == "123456"}
    assert result.texts[0] == f"a {number} b {number}"
    assert result.texts[1].endswith(number)
    assert result.texts[2] == ""
    assert result.counts == {"NUMBER": 4}


def test_a_seed_reproduces_whatever_the_secret() -> None:
    text = ["身份证 11010519491231002X 和 5 和 0000"]
    once = seeded().texts(text)
    assert once == seeded(keys=Keys(b"another installation's secret")).texts(text)
    assert once != seeded(43).texts(text)
    unseeded = Deidentifier(DEFAULT, KEYS).texts(text)
    assert unseeded != Deidentifier(DEFAULT, KEYS).texts(text)


def test_full_width_digits_stay_full_width_and_are_the_same_number() -> None:
    result = seeded().texts(["１３８１２３４５６７８,13812345678，138１２３４5678"])
    wide, narrow, mixed = re.findall(r"\d+", result.texts[0])
    assert re.fullmatch(r"[０-９]{11}", wide)
    assert re.fullmatch(r"[0-9]{3}[０-９]{4}[0-9]{4}", mixed)
    assert [str(int(number)).zfill(11) for number in (wide, mixed)] == [narrow, narrow]


@pytest.mark.parametrize("text", ["9" * 5000, "１" * 40, "1a" * 100, "", "\x00\x001\x00", "🙂1"])
def test_any_length_goes_through(text: str) -> None:
    (after,) = seeded().texts([text]).texts
    assert len(after) == len(text)
    assert re.sub(r"\d", "#", after) == re.sub(r"\d", "#", text)


def test_what_is_no_unicode_is_refused() -> None:
    with pytest.raises(TextRefused) as refused:
        seeded().texts(["fine", "\ud800"])
    assert refused.value.wrong.pointer == "/text/1"
