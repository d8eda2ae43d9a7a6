"""Chinese texts with names and addresses, told and untold, and words that look like names and are none."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.deid.corpus import Sample, Truth

_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余欧阳上官诸葛司马"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英建华文辉玉婷雪梅志红晨曦宇轩子涵"
_PLACES = [
    "浙江省杭州市西湖区文三路",
    "北京市海淀区中关村大街",
    "广东省深圳市南山区科技园南路",
    "上海市浦东新区世纪大道",
]
_DECOYS = [
    "高兴地通知您",
    "张贴通知",
    "马上处理",
    "王牌产品",
    "黄色预警",
    "何时发货",
    "周三开会",
    "白天不在",
    "方便的话",
]


def corpus(seed: int, size: int) -> Iterator[Sample]:
    rng = random.Random(seed)
    for number in range(size):
        name = rng.choice(_SURNAMES[:40]) + "".join(rng.choice(_GIVEN) for _ in range(rng.randint(1, 2)))
        place = f"{rng.choice(_PLACES)}{rng.randint(1, 300)}号{rng.randint(1, 30)}栋{rng.randint(101, 2502)}室"
        decoy = rng.choice(_DECOYS)
        match number % 6:
            case 0:
                yield _made(("客户", ""), (name, "PERSON"), ("，地址：", ""), (place, "ADDRESS"), ("，" + decoy, ""))
            case 1:
                yield _made((decoy + "，", ""), (name, "PERSON"), ("先生已签收。", ""))
            case 2:
                yield _made(
                    ('{"name": "', ""),
                    (name, "PERSON"),
                    ('", "address": "', ""),
                    (place, "ADDRESS"),
                    ('"}', ""),
                    form="json",
                )
            case 3:
                yield _made((f"{decoy}，请联系客服经理。客户{decoy}。", ""))
            case 4:
                yield _made(("我叫", ""), (name, "PERSON"), ("，住在", ""), (place, "ADDRESS"), ("。", ""))
            case _:
                yield _made(
                    (f"昨天{decoy}，", ""), (name, "PERSON"), ("说包裹送到了", ""), (place, "ADDRESS"), ("。", "")
                )


def _made(*parts: tuple[str, str], form: str = "text") -> Sample:
    text, truths = "", []
    for part, kind in parts:
        if kind:
            truths.append(Truth(kind, len(text), len(text) + len(part)))
        text += part
    return Sample(text, tuple(truths), form)
