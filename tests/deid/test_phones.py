"""A phone is one value, whatever separators and country code it is written with, and comes back in each spelling."""

from __future__ import annotations

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier, TextFormat
from services.runtime.deid.keys import Keys

_ZH, _EN = (Deidentifier(policies.built_in()[name], Keys(bytes(32))) for name in ("zh-pii", "en-pii"))


def _value(text: str, by: Deidentifier = _ZH, form: TextFormat = "text") -> tuple[str, str]:
    """Type and digits of what took the place of the one value of a text."""
    done = by.texts([text], format=form)
    [pair] = done.mapping
    assert by.reverse(done.texts, format=form).texts == [text]
    return pair.type, "".join(filter(str.isdigit, pair.pseudo))


@pytest.mark.parametrize("code", ["+86", "86", "0086", "手机 86", "电话：+86", "1. +86"])
@pytest.mark.parametrize("number", ["138 1234 5678", "138-1234-5678", "1381234 5678", "138 12345678", "138.1234.5678"])
def test_a_country_code_may_be_written_together_with_the_first_group(code: str, number: str) -> None:
    assert _value(code + number) == _value("13812345678")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("+44 (0)20 7946 0958", "+44 20 7946 0958"), ("+44(0)2079460958", "+442079460958"),
        ("+44（0）20 7946 0958", "+44 20 7946 0958"), ("+49 (0) 30 901820", "+49 30 901820"),
        ("0044 (0)20 7946 0958", "0044 20 7946 0958"), ("+353 (0)1 234 5678", "+353 1 234 5678"),
        ("+14155552671", "+1 415 555 2671"), ("tel: +14155552671", "+1-415-555-2671"),
        ("+13812345678", "+1 381 234 5678"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("by", [_ZH, _EN])
def test_a_phone_of_another_country_is_one_value_with_and_without_its_trunk(
    text: str, plain: str, by: Deidentifier
) -> None:
    assert _value(text, by) == _value(plain, by)


@pytest.mark.parametrize("text", ["姓名+13812345678", "报名格式：姓名＋13812345678", "1+13812345678"])
def test_a_plus_that_joins_is_no_sign_of_a_country_code(text: str) -> None:
    assert _value(text) == _value("13812345678")


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ("身份证", "idNo"), ("身份证", "id_no"), ("身份证", "userIdNumber"), ("身份证", "certNo"),
        ("身份证", "cert_no"),
        ("电话", "contactNumber"), ("电话", "contact_no"), ("电话", "mobileNo"), ("电话", "mobileno"),
        ("电话", "phonenumber"),
    ],
)  # fmt: skip
def test_names_of_fields_are_words(named: str, name: str) -> None:
    value = "110105900307123" if named == "身份证" else "62345678"
    assert _value(f'{{"{name}":"{value}"}}', form="json") == _value(f'{{"{named}":"{value}"}}', form="json")


@pytest.mark.parametrize("name", ["videoNo", "paidno", "gridNumber"])
def test_what_only_ends_like_a_name_of_a_field_is_none(name: str) -> None:
    assert _value(f'{{"{name}":"110105900307123"}}', form="json")[0] == "NUMBER"


_BLANKS = (
    *"\u00a0\u00ad\u2002\u2003\u2007\u2009\u200a\u200b\u200c\u200d\u202f\u2060\u3000\ufeff·", "&nbsp;", "&ensp;"
)  # fmt: skip


@pytest.mark.parametrize("blank", _BLANKS)
@pytest.mark.parametrize(
    "text",
    [
        "138 1234 5678",
        "手机：138 1234 5678",
        "手机：1381234 5678",
        "手机：１３８ 1234 5678",
        "身份证 110105 19491231 002X",
    ],
)
def test_any_blank_between_groups_is_one(text: str, blank: str) -> None:
    spelled, plain = _ZH.texts([text.replace(" ", blank), text]).mapping
    assert (spelled.type, spelled.original.split(blank)) == (plain.type, plain.original.split())
    assert spelled.pseudo.split(blank) == plain.pseudo.split()
    assert _ZH.reverse([spelled.pseudo]).texts == [spelled.original]


@pytest.mark.parametrize("blank", [blank for blank in _BLANKS if blank != "·"])
def test_phones_with_any_blank_between_them_stay_two(blank: str) -> None:
    done = _ZH.texts([f"手机13812345678{blank}13912345678"])
    assert [pair.original for pair in done.mapping] == ["13812345678", "13912345678"]


@pytest.mark.parametrize("text", ["手机：138\t1234\t5678", "身份证\t110105\t19491231\t0022"])
def test_tabs_join_groups_after_a_word_alone(text: str) -> None:
    assert _value(text)[0] in {"CN_PHONE", "CN_ID"}
    assert not {"CN_PHONE", "CN_ID"} & set(_ZH.texts([text[text.index("1") :]]).counts)


@pytest.mark.parametrize(
    "form", ["phone 555-01{}-{}", "phone 155-55{}-{}", "Phone: 555 12{} {}", "phone 80001{}{}", "phone 001 55{} {}"]
)
def test_pseudonyms_of_phones_of_ten_digits_are_none_of_another_plan(form: str) -> None:
    texts = [form.format(n % 10, 1000 + n) for n in range(50)]
    done = _EN.texts(texts)
    assert done.counts == {"PHONE": 50}
    assert _EN.reverse(done.texts).texts == texts


@pytest.mark.parametrize(
    "text", ["手机 138 1234 5678", "手机：13812345678", "手机 138-1234-5678", "phone 1381234 5678", "电话 138 12345678"]
)
def test_a_mobile_of_china_is_none_of_north_america(text: str) -> None:
    assert _value(text, _EN) == _value("+86 138 1234 5678", _EN)
    assert _value(text, _EN)[0] == "PHONE"


@pytest.mark.parametrize("text", ["电话 1-415-555-2671", "phone 14155552671", "phone 1415 555 2671"])
def test_a_code_of_north_america_is_one_after_a_word(text: str) -> None:
    assert _value(text, _EN) == _value("+1 415 555 2671", _EN)
