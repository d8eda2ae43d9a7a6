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
        ("欧阳修的词", []),
    ],
)
def test_names_in_texts(text: str, names: list[str]) -> None:
    assert [pair.original for pair in _NAMED.texts([text]).mapping] == names
