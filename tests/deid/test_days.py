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
        ("{15-03-1990}", "1990-03-15"),
        ("seen {03-07-1990}.", "1990-03-07"),
        ("born on {15-03-1990}", "1990-03-15"),
        ("Date: {03-15-2024}", "2024-03-15"),
        ("DOB {05-MAR-90}", "1990-03-05"),
        ("{05-Mar-05}", "2005-03-05"),
        ("hired {05/mar/90}", "1990-03-05"),
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
    form=st.sampled_from(
        ["%d-%b-%y", "%m-%d-%Y", "%y-%m-%d", "%m/%d/%y", "%d.%m.%y", "%y%m%d", "%d.%m.%Y", "%m/%d/%Y"]
    ),
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
        "build 10.11.2023", "31-FEB-90", "05-MAR-901", "45-45-1990", "x-05-03-1990-1", "model-05-03-2024",
        "版本 07.03.1990", "7.3.90",
    ],
)  # fmt: skip
def test_no_day_in_short(text: str) -> None:
    for engine in (_ZH, _EN):
        assert engine.texts([text]).texts == [text]


@pytest.mark.parametrize(
    ("most", "step", "count"), [(1, 1, 2), (6, 1, 12), (7, 7, 2), (30, 7, 8), (365, 7, 104), (3650, 7, 1042)]
)
def test_dates_move_by_whole_weeks(most: int, step: int, count: int) -> None:
    offsets = {
        Dates(Keys(bytes([n % 256, n // 256] * 8)).derive("secret", "p", "1", None)).offset(most) for n in range(4000)
    }
    assert not any(offset % step for offset in offsets)
    assert min(offsets) >= -most
    assert max(offsets) <= most
    assert 0 not in offsets
    assert len(offsets) == count or (most > 365 and len(offsets) > 0.9 * count)


def test_the_day_of_the_week_beside_a_date_stays_true() -> None:
    done = _ZH.texts(["Mon, 04 Mar 2024 10:00:00 +0800", "2024年3月4日（星期一）"])
    days = [day_of(pair.pseudo) for pair in done.mapping]
    assert len(days) == 2
    assert all(day and date(*day).weekday() == 0 for day in days)
    assert all(weekday in text for weekday, text in zip(("Mon", "星期一"), done.texts, strict=True))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("IMG_20240315_102345.jpg", "_102345.jpg"),
        ("20240315T102345Z", "T102345Z"),
        ("PXL_20240315_102345678.jpg", ".jpg"),
    ],
)
def test_a_compact_day_before_its_time(text: str, time: str) -> None:
    for engine in (_ZH, _EN):
        done = engine.texts([text, "2024-03-15"])
        assert done.mapping[0].type == "DATE"
        assert day_of(done.mapping[0].pseudo) == day_of(done.mapping[-1].pseudo)
        assert done.texts[0].endswith(time)
        assert engine.reverse(done.texts).texts == [text, "2024-03-15"]


_EDGES = [
    date(1881, 9, 25),
    date(1899, 12, 31),
    date(1900, 1, 1),
    date(2099, 12, 30),
    date(2099, 12, 31),
    date(2100, 1, 1),
]
_FORMS = ["%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%Y", "%Y-%b-%d", "生日 %Y%m%d"]


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("days", [1, 365, 3650])
def test_what_lies_between_dates_stays_beyond_the_centuries_of_the_living(form: str, days: int) -> None:
    policy = policies.load(f"{{id: p, version: '1', types: {{DATE: {{action: date_shift, days: {days}}}}}}}".encode())
    texts = [day.strftime(form) for day in _EDGES]
    for seed in range(4):
        engine = Deidentifier(policy, Keys(bytes([seed] * 32)))
        done = engine.texts(texts)
        moved = [date(*day) for pair in done.mapping if (day := day_of(pair.pseudo))]
        assert len(moved) == len(_EDGES)
        [offset] = {after - before for before, after in zip(_EDGES, moved, strict=True)}
        assert 0 < abs(offset.days) <= days
        assert engine.reverse(done.texts).texts == texts


def test_dates_in_chinese_numerals_of_before_1900_move_as_others_do() -> None:
    done = _ZH.texts(["一八八一年九月二十五日", "1881-09-25"])
    assert day_of(done.mapping[0].pseudo) == day_of(done.mapping[1].pseudo)


@pytest.mark.parametrize(
    "text",
    [
        "日期：{20240105}", "签发日期 {20240105}", "有效期：{20240105}-{20340105}", "有效期自{20240105}至{20340105}",
        "出生日期：{19900307}", "到期日 {20240105}", "date: {20240105}", "Issued on {20240105}",
        "valid until {20340105}",
        '"trade_date":"{20240105}"', "expires={20340105}", "截至{20240105}，",
    ],
)  # fmt: skip
def test_a_compact_day_after_its_word(text: str) -> None:
    days, text = re.findall("{([0-9]+)}", text), re.sub("[{}]", "", text)
    for engine in (_ZH, _EN):
        done = engine.texts([text])
        assert [(pair.type, pair.original) for pair in done.mapping] == [("DATE", day) for day in days]
        assert engine.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        "日期相关编号 20240105", "日期：2024-01-05，编号 20240105", "有效期内金额20240105元", "日期 20241305",
        "date of order 20240105", "expires soon, ref 20240105", "update 20240105", "日期：16440425",
    ],
)  # fmt: skip
def test_no_day_near_a_word_for_days(text: str) -> None:
    for engine in (_ZH, _EN):
        assert "DATE" not in [pair.type for pair in engine.texts([text]).mapping if "-" not in pair.original]


@pytest.mark.parametrize("text", ["20240315", "IMG_20241315_102345", "20240315_12", "20240315-102345"])
def test_no_compact_day(text: str) -> None:
    assert _ZH.texts([text]).counts == {"NUMBER": 1}
