"""Words count in both scripts of Chinese: what is found after a simplified one is found after a traditional one."""

from __future__ import annotations

import re

import msgspec
import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys
from services.runtime.deid.recognisers.vocabulary import WORDS
from services.runtime.deid.rules import Output
from services.runtime.deid.spellings import PROVINCES, both, spelled

_ZH = Deidentifier(policies.built_in()["zh-pii"], Keys(bytes(32)))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("車牌：{粵B12345}", "CN_PLATE"),
        ("{蘇E12345}停在門口", "CN_PLATE"),
        ("{滬A12345}、{遼B12345}、{魯A12345}、{貴A12345}、{贛A12345}", "CN_PLATE"),
        ("{粵Z1234}港", "CN_PLATE"),
        ("{京A1234}學", "CN_PLATE"),
        ("微信號：{wx_abc123}", "WECHAT"),
        ("微信賬號：{zhangsan}", "WECHAT"),
        ("我的微信號碼為 {zhangsan}", "WECHAT"),
        ("手機：{0912-345-678}", "PHONE"),
        ("手機號碼：{0912-345-678}", "PHONE"),
        ("電話 {(852) 2345 6789}", "PHONE"),
        ("聯繫電話：{2345 6789}", "PHONE"),
        ("電話號碼 {(02) 2345-6789}", "PHONE"),
        ("帳號：{1109 0123 4567 8901}", "NUMBER"),
        ("賬號為 {1109 0123 4567 8901}", "NUMBER"),
        ("護照 {E12345678}", "PASSPORT"),
        ("護照號碼：{E1234 5678}", "PASSPORT"),
        ("回鄉證 {H12345678}", "HK_MO_PERMIT"),
        ("臺胞證 {12345678}", "TW_PERMIT"),
        ("台胞證：{12345678}", "TW_PERMIT"),
        ("身分證：{1101 0519 4912 3100 2X}", "CN_ID"),
        ("電郵：{a@b.unknown}", "EMAIL"),
        ("生日：{1990年3月7號}", "DATE"),
        ("{一九九〇年三月七號}", "DATE"),
        ("密碼：{Abc@1234}", "API_KEY"),
    ],
)
def test_a_value_after_a_traditional_word(text: str, kind: str) -> None:
    plain = text.replace("{", "").replace("}", "")
    done = _ZH.texts([plain])
    values = re.findall("{(.*?)}", text)
    assert [(pair.type, pair.original) for pair in done.mapping] == [(kind, value) for value in values]
    assert _ZH.reverse(done.texts).texts == [plain]


@pytest.mark.parametrize(
    "text", ["訂單號 23-45-6789", "型號 P12345", "版本號 10.2.3.45", "共38萬元", "粵A級", "護膚品 E123", "來電 120"]
)
def test_nothing_after_a_traditional_word(text: str) -> None:
    assert _ZH.texts([text]).texts == [text]


def test_an_amount_is_no_phone() -> None:
    assert _ZH.texts(["銷售額13812345678萬元"]).counts == {"NUMBER": 1}


def test_spellings_are_as_long_as_each_other() -> None:
    for word in (word for words in WORDS.values() for word in words):
        for way in spelled(word):
            assert len(way.encode()) == len(word.encode())
            assert re.fullmatch(both(re.escape(word)), way)


@pytest.mark.parametrize("output", ["unissuable", "valid"])
def test_a_plate_is_one_in_both_scripts(output: Output) -> None:
    engine = Deidentifier(msgspec.structs.replace(policies.built_in()["zh-pii"], output=output), Keys(bytes(32)))
    texts = [f"{province}B12345 好" for pair in PROVINCES.items() for province in pair]
    done = engine.texts(texts)
    scripts = str.maketrans("閏歲呂騰麗岡劍闕陽鱗潛龍鳥", "闰岁吕腾丽冈剑阙阳鳞潜龙鸟") | str.maketrans(
        {traditional: simple for simple, traditional in PROVINCES.items()}
    )
    assert len({text.translate(scripts) for text in done.texts}) == len(PROVINCES)
    assert len({entry.pseudo for entry in done.mapping}) == len(texts)
    assert engine.reverse(done.texts).texts == texts
