"""Names and addresses of people, which a policy may add: those of programs and of goods stay."""

from __future__ import annotations

import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.keys import Keys

_NAMED = Deidentifier(policies.load(b"id: named\nversion: '1'\ntypes: {PERSON: {}, ADDRESS: {}}"), Keys(bytes(32)))


@pytest.mark.parametrize(
    "text",
    [
        '{"function":{"name":"login"}}', '{"function": {"id": 1, "name": "login"}}', '{"tools":[{"name":"search"}]}',
        '{"name":"search","arguments":{"q":"a"}}',
        '[{"type":"x"},{"name":"search","description":"find it","parameters":{}}]', '{"product":{"name":"苹果手机"}}',
        '{"model":{"name":"chatglm"}}', '{"產品": {"name": "手機"}}', '{"address":"0x7f8a"}',
        '{"address":"localhost:8080"}',
        '{"address":"10.0.0.1"}',
        '{"name":"get_weather"}', '{"name":"chatglm"}', '{"name":"login"}', '{"name":"苹果手机"}', '{"NAME":"iPhone"}',
        '{"客户":"某某科技公司"}', '{"name":"GLM 4"}', '{"name":"my little shop"}', '{"contact":"sales team"}',
        *(f'{{"name":"{name}"}}' for name in ("刘某某", "张某", "李XX", "李×", "张**", "王*明", "J***")),
        '{"姓名":"欧阳某某先生"}',
        '{"product":{"name":"Apple Watch"}}',
        '{"fileName":"a b","countryName":"France","userName":"root x"}', '{"city":"Boston","server":{"state":"up"}}',
    ],
)  # fmt: skip
def test_what_is_no_persons(text: str) -> None:
    assert _NAMED.texts([text], format="json").texts == [text]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"user":{"name":"张三"},"product":{"name":"手机"}}', "张三"),
        ('{"full_name":"zhangsan","phone":"1"}', "zhangsan"),
        ('{"name":"Zhang San"}', "Zhang San"),
        ('{"name":"Ludwig van Beethoven"}', "Ludwig van Beethoven"),
        ('{"name":"王小明"}', "王小明"),
        ('{"name":"阿不都·热合曼"}', "阿不都·热合曼"),
        ('{"data":{"name":"John Smith"}}', "John Smith"),
        ('{"姓名":"歐陽娜娜"}', "歐陽娜娜"),
        ('{"address":"北京市朝阳区建国路88号"}', "北京市朝阳区建国路88号"),
        ('{"address":"12 Main St"}', "12 Main St"),
        ('{"firstName":"Maria"}', "Maria"),
        ('{"last_name":"Garcia"}', "Garcia"),
        ('{"contactName":"LIU WEI"}', "LIU WEI"),
        ('{"custName":"x Y"}', "x Y"),
        ('{"shippingAddress":"12 Main St"}', "12 Main St"),
        ('{"id":1,"address":{"geo":1,"street":"12 Main St"}}', "12 Main St"),
        ('{"home_address": {\n  "type": "home",\n  "city": "Boston"}}', "Boston"),
        ('{"地址":{"城市":"杭州市"}}', "杭州市"),
    ],
)
def test_a_field_of_a_person(text: str, name: str) -> None:
    done = _NAMED.texts([text], format="json")
    assert [pair.original for pair in done.mapping] == [name]
    assert _NAMED.reverse(done.texts, format="json").texts == [text]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("姓名:欧阳娜娜", ["欧阳娜娜"]),
        ("姓名：張學友，在台北", ["張學友"]),
        ("诸葛孔明先生来电", ["诸葛孔明"]),
        ("請陳老師、王小明醫生來電", ["陳", "王小明"]),
        ("聯絡地址：臺北市大安區信義路88號3樓", ["臺北市大安區信義路88號3樓"]),
        ("姓名：未知", []),
        ("姓名：张某，客户刘某某来电；劉某某先生、张某女士，联系人李XX，姓名：张**", []),
        ("欧阳修的词", []),
    ],
)
def test_names_in_texts(text: str, names: list[str]) -> None:
    assert [pair.original for pair in _NAMED.texts([text]).mapping] == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("First Name: Maria Last Name: Garcia", ["Maria", "Garcia"]),
        ("Name: John Smith Phone: 1", ["John Smith"]),
        ("Name: John Smith Age: 3", ["John Smith"]),
        ("Name: John Smith Order ID: 5", ["John Smith"]),
        ("Name: John Smith Account Number: 5", ["John Smith"]),
        ("Name: Ann Lee Favourite Color: red", ["Ann Lee"]),
        ("First Name: Maria Pet: no", ["Maria"]),
        ("Name: Phone: 5", []),
        ("Dear Jane Doe,", ["Jane Doe"]),
        ("Dear Mr. Brown,", ["Brown"]),
        ("Customer: Jane Doe\nPhone: 1", ["Jane Doe"]),
        ("Patient: Robert Miller", ["Robert Miller"]),
        ("Full Name: Mary-Jane O'Neil", ["Mary-Jane O'Neil"]),
        ("Full Name: Donald van der Voet", ["Donald van der Voet"]),
        ("Contact Name: LIU WEI", ["LIU WEI"]),
        ("**Name:** José Ångström", ["José Ångström"]),
        ("{'name': 'John Smith'}", ["John Smith"]),
        ("Age: 30 Name: John Smith", ["John Smith"]),
        ("My name is Kenjirou.", ["Kenjirou"]),
        ("the customer's real name: Ada Lovelace", ["Ada Lovelace"]),
        ("Ask Mr. Brown, Ms Green and Prof. Dr. Hans Müller's dog", ["Brown", "Green", "Hans Müller"]),
        ("联系人：Mary Lee", ["Mary Lee"]),
    ],
)
def test_latin_names(text: str, names: list[str]) -> None:
    done = _NAMED.texts([text])
    assert [pair.original for pair in done.mapping] == names
    assert _NAMED.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "Address: 1600 Amphitheatre Parkway, Mountain View, CA 94043",
            "1600 Amphitheatre Parkway, Mountain View, CA 94043",
        ),
        ("Home Address: 12 Main St. Phone: 5", "12 Main St."),
        ("my address is 221B Baker Street, London NW1 6XE.", "221B Baker Street, London NW1 6XE"),
        ("Address: 12 5th Avenue, Apt. 4, New York Order ID: 7", "12 5th Avenue, Apt. 4, New York"),
        ("Address: 12 Main St\nSpringfield, IL 62701\nThanks", "12 Main St\nSpringfield, IL 62701"),
        ("Address: 29 Rue de la Briqueterie 480\nPhone: 5", "29 Rue de la Briqueterie 480"),
        ("Address: 5 items", None),
    ],
)
def test_latin_addresses(text: str, place: str | None) -> None:
    done = _NAMED.texts([text])
    assert [pair.original for pair in done.mapping] == [place] * (place is not None)
    assert _NAMED.reverse(done.texts).texts == [text]


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"{what} Name: Linear Algebra"
            for what in ("Country", "City", "Course", "Bank", "Drug", "Movie", "File", "Function", "Table", "Dataset")
        ),
        *(f"{what} Name: Linear Algebra" for what in ("Product", "Company", "Scientific", "Model", "Host", "User")),
        "file_name: Foo Bar", "the product name is Foo Bar", "Contact: Sales Department", "Dear Customer Service",
        "Dear Sir or Madam", "12 Elm Dr. Springfield", "MS Word", "Customer: Is Amazon Prime included?",
        "Client: Thank You.", "Name: Acme Support Team",
    ],
)  # fmt: skip
def test_names_of_things(text: str) -> None:
    assert _NAMED.texts([text]).texts == [text]


@pytest.mark.parametrize(
    ("text", "name", "times"),
    [
        ("客户王小明女士来电，王小明要求退货", "王小明", 2),
        ("王小明要求退货。客户：王小明", "王小明", 2),
        ("我叫欧阳娜娜，欧阳娜娜的电话", "欧阳娜娜", 2),
        ("姓名：王明。王明要求退货，给王明打电话", "王明", 3),
    ],
)
def test_a_name_is_found_again_in_its_document(text: str, name: str, times: int) -> None:
    done = _NAMED.texts([text, f"{name}要求退货"])
    [told] = done.mapping
    assert (told.original, done.counts) == (name, {"PERSON": times})
    assert done.texts == [text.replace(name, told.pseudo), f"{name}要求退货"]


def test_a_name_that_is_found_again_comes_back() -> None:
    text = '{"name":"王小明","messages":[{"content":"王小明要求退货"}]}'
    done = _NAMED.texts([text], format="json")
    assert "王小明" not in done.texts[0]
    assert _NAMED.reverse(done.texts, format="json").texts == [text]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("姓名：王明。国王明天来", "国王明天来"),
        ("姓名：高兴。他高兴地说", "他高兴地说"),
        ("王明女士来电，王明要求", "王明要求"),
        ("高级客户经理说，高级客户很忙", "高级客户很忙"),
        ('{"name":"产品经理","text":"产品经理说"}', "产品经理说"),
    ],
)
def test_parts_of_other_words_are_not_told(text: str, left: str) -> None:
    assert left in _NAMED.texts([text]).texts[0]


@pytest.mark.parametrize("word", ["城市", "客户", "Dear", "Customer"])
def test_words_for_people_do_not_hide_those_for_numbers(word: str) -> None:
    policy = policies.load(b"id: qq\nversion: '1'\ntypes: {QQ: {}, PERSON: {}, ADDRESS: {}}")
    assert Deidentifier(policy, Keys(bytes(32))).texts([f"QQ号请写在这里 {word} 12345678"]).counts == {"QQ": 1}
