"""Days whose year has two digits, and those that begin with the day."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.dates import Dates, day_of
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_ZH = Deidentifier(policies.built_in()["zh-pii"], Keys(bytes(32)))
_EN = Deidentifier(policies.built_in()["en-pii"], Keys(bytes(32)))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("DOB: {3/7/90}", "1990-03-07"),
        ("Date of birth: {03/07/90}", "1990-03-07"),
        ("birth date {7.3.90}", "1990-03-07"),
        ("出生日期：{90-03-07}", "1990-03-07"),
        ("出生日期：{05-03-07}", "2005-03-07"),
        ("生日 {90/3/7}", "1990-03-07"),
        ("出生于 {900307}", "1990-03-07"),
        ("出生日期（{900307}）", "1990-03-07"),
        ("出生日期 {290228}", "2029-02-28"),
        ("生日：{31-01-01}", "1931-01-01"),
        ("Geboren am {07.03.1990}", "1990-03-07"),
        ("date of birth {04.07.1985}", "1985-07-04"),
        ("date of birth {07/04/1985}", "1985-07-04"),
    ],
)
def test_a_day_in_short(text: str, day: str) -> None:
    frame, value = re.sub("{.*}", "{}", text), text[text.index("{") + 1 : text.index("}")]
    for engine in (_ZH, _EN):
        done = engine.texts([frame.format(value), day])
        assert [(pair.type, pair.original) for pair in done.mapping] == [("DATE", value), ("DATE", day)]
        assert engine.reverse(done.texts).texts == [frame.format(value), day]
        assert day_of(done.mapping[0].pseudo) == day_of(done.mapping[1].pseudo)


@given(
    day=st.dates(date(1930, 1, 1), date(2029, 12, 31)),
    form=st.sampled_from(["%y-%m-%d", "%m/%d/%y", "%d.%m.%y", "%y%m%d", "%d.%m.%Y", "%m/%d/%Y"]),
    key=st.binary(min_size=32, max_size=32),
)
def test_a_day_in_short_comes_back(day: date, form: str, key: bytes) -> None:
    dates, text = Dates(Keys(key).derive("secret", "p", "1", None)), day.strftime(form)
    for most in (30, 3650):
        moved = dates.shifted(text, most)
        assert moved != text
        assert dates.shifted(moved, most, inverse=True) == text


@pytest.mark.parametrize(
    "text",
    [
        "生日礼物 12-11-10 寄出", "生日蛋糕尺寸 10-11-12", "出生地邮编 100101", "birthday gift 10/11/12",
        "birth weight 3.4.12", "生日：90-13-07", "生日 90-02-30", "DOB: 45/45/90", "生日 901332", "比分 90-03-07",
        "build 10.11.2023", "版本 07.03.1990", "7.3.90",
    ],
)  # fmt: skip
def test_no_day_in_short(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]
