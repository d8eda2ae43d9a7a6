"""Pseudonyms of every type and output: format kept, bijective, checksums as told, and back with the key."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from datetime import date
from itertools import product

import msgspec
import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier, TextFormat
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import NotReversible
from services.runtime.deid.rules import Output, Rule
from tests.deid.corpus import chinese

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]
OUTPUTS: tuple[Output, ...] = ("unissuable", "valid", "invalid")

VALUES = {
    "CN_PHONE": (chinese.phone, "手机 {}"),
    "CN_ID": (chinese.resident, "身份证 {}"),
    "BANK_CARD": (chinese.card, "银行卡 {}"),
    "CN_USCC": (chinese.credit_code, "统一社会信用代码 {}"),
    "CN_LANDLINE": (chinese.landline, "座机 {}"),
    "CN_PLATE": (chinese.plate, "车牌 {}"),
    "EMAIL": (chinese.email, "邮箱 {}"),
    "IMEI": (chinese.imei, "IMEI {}"),
}


def engine(output: Output = "unissuable", seed: int | None = None, keys: Keys = KEYS) -> Deidentifier:
    return Deidentifier(msgspec.structs.replace(ZH, output=output), keys, seed)


def form(value: str) -> str:
    return re.sub("[A-Z]", "A", re.sub("[a-z]", "a", re.sub("[0-9]", "9", value)))


@pytest.mark.parametrize(("kind", "output"), list(product(VALUES, OUTPUTS)))
def test_bijective_and_reversible(kind: str, output: Output) -> None:
    make, around = VALUES[kind]
    rng = random.Random(11)
    originals = sorted({make(rng) for _ in range(400)})
    texts = [around.format(value) for value in originals]
    done = engine(output).texts(texts)
    assert done.counts == {kind: len(originals)}
    pseudonyms = {entry.original: entry.pseudo for entry in done.mapping}
    assert len(set(pseudonyms.values())) == len(originals)
    assert all(len(old) == len(new) for old, new in pseudonyms.items())
    if kind not in ("CN_ID", "CN_USCC", "CN_PLATE"):  # which have letters where others have digits
        assert all(form(old) == form(new) for old, new in pseudonyms.items())
    assert engine(output).reverse(done.texts).texts == texts


AREAS = (*range(1, 666), *range(667, 900))


@pytest.mark.parametrize("policy", ["zh-pii", "en-pii"])
@pytest.mark.parametrize(
    ("issued", "parts"),
    [
        ("issued", (AREAS, range(1, 100), range(1, 10_000))),
        ("no area", ((0, 666, *range(900, 1000)), range(100), range(10_000))),
        ("no group", (AREAS, (0,), range(10_000))),
        ("no serial", (AREAS, range(1, 100), (0,))),
    ],
)
def test_an_ssn_that_is_never_issued_stays_so(
    policy: str, issued: str, parts: tuple[Sequence[int], Sequence[int], Sequence[int]]
) -> None:
    rng, by = random.Random(issued), Deidentifier(policies.built_in()[policy], KEYS)
    area, group, serial = parts
    originals = {f"{rng.choice(area):03}-{rng.choice(group):02}-{rng.choice(serial):04}" for _ in range(400)}
    texts = [json.dumps({"ssn": original}) for original in sorted(originals)]
    done = by.texts(texts, format="json")
    pseudonyms = {entry.original: entry.pseudo for entry in done.mapping if entry.type == "US_SSN"}
    assert pseudonyms.keys() == originals
    assert len(set(pseudonyms.values())) == len(originals)
    for pseudonym in pseudonyms.values():
        assert all(int(number) in part for number, part in zip(pseudonym.split("-"), parts, strict=True))
    assert by.reverse(done.texts, format="json").texts == texts


@pytest.mark.parametrize("output", OUTPUTS)
def test_checksums_are_as_the_output_tells(output: Output) -> None:
    rng = random.Random(5)
    cards = [chinese.card(rng) for _ in range(200)]
    after = [text.split()[1] for text in engine(output).texts([f"卡号 {card}" for card in cards]).texts]
    assert all(luhn(card) == (output != "invalid") for card in after)
    issued = [card[0] in "23456" for card in after]
    assert all(issued) if output == "valid" else output == "invalid" or not any(issued)


@pytest.mark.parametrize("policy", ["zh-pii", "en-pii"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_cards_come_back_whatever_their_issuer(policy: str, output: Output) -> None:
    rng = random.Random(6)
    numbers = [f"{issuer}{rng.randrange(10**14):014}" for issuer in (22, 27, 34, 41, 55, 60, 62, 62) for _ in range(60)]
    numbers += [" ".join(re.findall("....", number)) for number in numbers]
    texts = [f"card {number}" for number in numbers]
    texts += [n for n in numbers if policy == "zh-pii" and n.startswith("62") and " " in n]
    by = Deidentifier(msgspec.structs.replace(policies.built_in()[policy], output=output), KEYS)
    done = by.texts(texts)
    assert not set(done.texts) & {f"card {number}" for number in numbers}
    assert by.reverse(done.texts).texts == texts


def luhn(number: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def test_nobody_can_have_an_unissuable_number() -> None:
    rng = random.Random(3)
    phones = engine().texts([f"手机 {chinese.phone(rng)}" for _ in range(200)]).texts
    assert not [text for text in phones if re.search(r"1[3-9]\d{9}", text)]
    people = engine().texts([f"身份证 {chinese.resident(rng)}" for _ in range(200)]).texts
    assert not [text for text in people if int(text.split()[1][:2]) in {*range(11, 16), *range(31, 38), 44, 51}]


def test_the_same_value_in_whatever_spelling() -> None:
    spellings = [
        "13812345678",
        "138-1234-5678",
        "138 1234 5678",
        "１３８１２３４５６７８",
        "+86 13812345678",
        "8613812345678",
    ]
    after = engine().texts([f"手机 {spelling}" for spelling in spellings]).texts
    narrow = [re.sub(r"\D", "", text.translate({0xFF10 + d: str(d) for d in range(10)}))[-11:] for text in after]
    assert len(set(narrow)) == 1
    assert re.fullmatch(r"手机 \d{3}-\d{4}-\d{4}", after[1])
    assert re.fullmatch(r"手机 [０-９]{11}", after[3])
    mails = engine().texts(["邮箱 Zhang.San@QQ.com", "邮箱 zhang.san@qq.com"]).texts
    assert mails[0].lower() == mails[1]
    assert mails[0][3].isupper()


def test_keyed_by_secret_policy_version_and_seed() -> None:
    text = ["手机 13812345678"]
    changed = msgspec.structs.replace(ZH, version="2"), msgspec.structs.replace(ZH, id="other")
    after = [
        engine().texts(text).texts[0],
        engine(seed=1).texts(text).texts[0],
        engine(keys=Keys(b"another secret altogether")).texts(text).texts[0],
        *(Deidentifier(policy, KEYS).texts(text).texts[0] for policy in changed),
    ]
    assert len(set(after)) == len(after)
    assert after[0] == engine().texts(["等等，" + text[0]]).texts[0][3:]


def test_without_a_seed_nothing_brings_back_what_a_request_made() -> None:
    default = policies.built_in()["default"]
    with pytest.raises(NotReversible):
        Deidentifier(default, KEYS).reverse(["手机 1"])
    seeded = Deidentifier(default, KEYS, 42)
    texts = ["身份证 11010519491231002 和 5 和 0000, " + "9" * 50]
    assert seeded.reverse(seeded.texts(texts).texts).texts == texts


def test_a_policy_that_only_hides_is_not_reversible() -> None:
    rules = "{id: hides, version: '1', types: {CN_PHONE: {action: mask}, EMAIL: {action: hash}}}"
    with pytest.raises(NotReversible):
        Deidentifier(policies.load(rules.encode()), KEYS).reverse(["13812345678"])


def test_what_cannot_be_brought_back_is_left_and_not_counted() -> None:
    rules = "{id: some, version: '1', types: {CN_PHONE: {action: mask, keep_last: 4}, EMAIL: {}, NUMBER: {}}}"
    engine = Deidentifier(policies.load(rules.encode()), KEYS)
    done = engine.reverse(["手机 92812345678", *engine.texts(["a@example.com"]).texts])
    assert (done.texts[1], done.counts["EMAIL"], done.counts.get("CN_PHONE")) == ("a@example.com", 1, None)


def test_what_is_kept_stays_on_the_way_back() -> None:
    rules = "{id: keeps, version: '1', types: {CN_PHONE: {action: keep}, NUMBER: {}}}"
    engine = Deidentifier(policies.load(rules.encode()), KEYS)
    texts = ["手机 13812345678，工号 12345678"]
    assert engine.reverse(engine.texts(texts).texts).texts == texts


def test_an_address_in_a_text_stays_with_its_numbers_and_comes_back_in_its_field() -> None:
    options = {kind: Rule() for kind in ("PERSON", "ADDRESS", "NUMBER")}
    engine = Deidentifier(msgspec.structs.replace(ZH, types=ZH.types | options), KEYS)
    hidden = engine.texts(["地址：北京市朝阳区建国路88号，手机 13812345678"]).texts[0]
    place, _, phone = hidden.partition("，")
    done = engine.reverse([hidden])
    assert (done.texts, done.counts) == ([f"{place}，手机 13812345678"], {"CN_PHONE": 1})
    assert phone not in done.texts[0]
    field = '{"姓名":"张三","地址":"北京市朝阳区建国路88号"}'
    assert engine.reverse(engine.texts([field], format="json").texts, format="json").texts == [field]


def test_actions() -> None:
    rules = """
id: actions
version: "1"
types:
  CN_PHONE: {action: mask, keep_last: 4}
  EMAIL: {action: replace}
  CN_ID: {action: hash}
  CN_PLATE: {action: redact}
  IPV4: {action: keep}
  DATE: {action: date_shift, days: 30}
  NUMBER: {action: mask, mask: x, min_digits: 4}
patterns:
  - {name: EMPLOYEE, pattern: 'EMP-\\d{4,6}', action: replace}
"""
    engine = Deidentifier(policies.load(rules.encode()), KEYS)
    (text,) = engine.texts(["138-1234-5678 a@b.com 11010519491231002X 京A12345 8.8.4.41 EMP-123456 1234 12"]).texts
    assert re.fullmatch(r"\*{3}-\*{4}-5678 <EMAIL> <CN_ID:[0-9a-f]{16}>  8\.8\.4\.41 <EMPLOYEE> xxxx 12", text)
    hashed = engine.texts(["110105 19491231 002x"]).texts[0]
    assert hashed in text


def day_read(text: str) -> date | None:
    """Month first wherever that can be."""
    first, second, year = map(int, text.split("/"))
    try:
        return date(year, second, first) if first > 12 else date(year, first, second)
    except ValueError:
        return None


@pytest.mark.parametrize("days", [1, 30, 365])
@pytest.mark.parametrize("seed", range(6))
def test_no_two_days_fall_together_whichever_way_they_are_written(days: int, seed: int) -> None:
    rules = f"{{id: dates, version: '1', types: {{DATE: {{action: date_shift, days: {days}}}}}}}"
    of_dates = Deidentifier(policies.load(rules.encode()), KEYS, seed)
    written = [f"{one:02}/{two:02}/{year}" for year in (1990, 1992) for one in range(1, 32) for two in range(1, 32)]
    texts = [text for text in written if day_read(text)]
    before = [day_read(text) for text in texts]
    done = of_dates.texts(texts)
    after = [day_read(text) for text in done.texts]
    assert [day_read(text) for text in of_dates.reverse(done.texts).texts] == before
    assert len({new - old for new, old in zip(after, before, strict=True) if new and old}) == 1
    assert None not in after


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("２０２４年３月５日", "[０-９]{4}年[０-９]{1,2}月[０-９]{1,2}日"),
        ("２０２４－３－５", "[０-９]{4}－[０-９]{1,2}－[０-９]{1,2}"),
        ("２０２４-０３-０５", "[０-９]{4}-[０-９]{2}-[０-９]{2}"),
        ("２０２４0３05", "[０-９]{5}0[０-９]{2}|[０-９]{4}[0-9][０-９][0-9]{2}"),
        ("3 March ２０２４", "[0-9]{1,2} [A-Z][a-z]+ [０-９]{4}"),
    ],
)
def test_dates_keep_their_widths(text: str, form: str) -> None:
    for seed in range(20):
        [after] = engine(seed=seed).texts([f"生日：{text}"]).texts
        assert re.fullmatch(f"生日：(?:{form})", after), after
        [back] = engine(seed=seed).reverse([after]).texts
        assert [int(part) for part in re.findall(r"\d+", back)] == [int(part) for part in re.findall(r"\d+", text)]


def test_dates_keep_what_lies_between_them() -> None:
    texts = ["2024-01-05", "2024-02-05", "2024/03/09", "生日 20240401", "2024年5月1日"]
    after = engine(seed=7).texts(texts).texts
    moved = [
        date(*(int(part) for part in re.findall(r"\d+", text))) for text in (after[0], after[1], after[2], after[4])
    ]
    assert [(day - moved[0]).days for day in moved] == [0, 31, 64, 117]
    assert re.fullmatch(r"生日 \d{8}", after[3])
    assert moved[0] != date(2024, 1, 5)
    assert engine(seed=7).reverse(after).texts == texts
    assert engine(seed=8).texts(texts).texts != after


DEFAULT = Deidentifier(policies.built_in()["default"], KEYS, 42)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 11, 40])
def test_a_number_is_one_value_in_json_and_in_text(width: int) -> None:
    """Of numbers without a leading zero none gets one, and all stay numbers."""
    rng = random.Random(width)
    numbers = sorted({rng.randrange(10 ** (width - 1) if width > 1 else 0, 10**width) for _ in range(1000)})
    texts = DEFAULT.texts([str(number) for number in numbers]).texts
    [document] = DEFAULT.texts([f'{{"p":{numbers}}}'], format="json").texts
    if width >= 5:
        assert json.loads(document)["p"] == [int(text) for text in texts]
        assert [str(number) for number in json.loads(document)["p"]] == texts
    assert len(set(texts)) == len(numbers)
    assert not [text for text in texts if width > 1 and text[0] == "0"]
    assert DEFAULT.reverse(texts).texts == [str(number) for number in numbers]


def test_numbers_with_and_without_a_leading_zero_stay_apart() -> None:
    values = [f"{number:0{width}}" for width in (2, 3, 4) for number in range(10**width)]
    after = DEFAULT.texts(values).texts
    assert len(set(after)) == len(values)
    assert all(new != old and (new[0] == "0") == (old[0] == "0") for old, new in zip(values, after, strict=True))


NAMES = "id: names\nversion: '1'\ntypes: {PERSON: {}}\npatterns: [{name: NICK, pattern: '《[^《》]{1,40}》'}]"


@pytest.mark.parametrize(
    "name",
    ["김철수", "Иван Петров", "José Müller", "𠮷野家", "㐂三", "스ー々", "スーパー・マン", "Ὀδυσσεύς", "محمد علي", "ส้ม",
     "𪚥𫝀", "Ⅷ①", "ﬁ", "é", "한", "张三"],
)  # fmt: skip
def test_a_name_of_any_script_is_replaced_letter_by_letter(name: str) -> None:
    by = Deidentifier(policies.load(NAMES.encode()), KEYS)
    samples: dict[TextFormat, str] = {"json": f'{{"name":"{name}"}}', "text": f"《{name}》"}
    for letters, text in samples.items():
        done = by.texts([text], format=letters)
        [pair] = done.mapping
        kept = [old for old, new in zip(pair.original, pair.pseudo, strict=True) if old == new and old.isalnum()]
        assert len(kept) <= len(name) // 3
        assert pair.original != pair.pseudo
        assert list(map(len, map(str.encode, pair.pseudo))) == list(map(len, map(str.encode, pair.original)))
        assert by.reverse(done.texts, format=letters).texts == [text]


def test_cases_of_a_name_are_one_value() -> None:
    by = Deidentifier(policies.load(NAMES.encode()), KEYS)
    once, again = by.texts(["《ÉMILE Çelik Ωμ Ждан》", "《émile çelik ωμ ждан》"]).texts
    assert once != again
    assert once.lower() == again


@pytest.mark.parametrize("name", ["…", "🙂🙂", "\ue000\ue001", "张\ue000", "\u10d0\u1c90"])
def test_what_no_alphabet_has_is_replaced_by_its_type(name: str) -> None:
    done = Deidentifier(policies.load(NAMES.encode()), KEYS).texts([f'{{"name":"{name}"}}'], format="json")
    assert done.texts == ['{"name":"<PERSON>"}']
    assert done.counts == {"PERSON": 1}


def test_no_short_text_is_its_own_pseudonym() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    mails = [f"邮箱 {one}@{two}.cn" for one in letters for two in letters]
    done = engine().texts(mails)
    assert not [old for old, new in zip(mails, done.texts, strict=True) if old == new]
    assert len(set(done.texts)) == len(mails)
    assert engine().reverse(done.texts).texts == mails
