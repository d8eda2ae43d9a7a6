"""A Chinese corpus with known spans: written from the standards, without a look at what recognises it."""

# ruff: noqa: E501 - what is made of a type stands in one line
from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

from tests.deid.corpus import Sample, Truth

_PROVINCES = [*range(11, 16), 21, 22, 23, *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66)]
_SURNAMES = "王李张刘陈杨黄赵吴周"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平"
_FILL = [
    "请尽快处理", "谢谢配合", "下午三点前完成", "麻烦核对一下", "已经和主管确认过了", "系统里查不到记录", "稍后再联系",
    "这个问题反馈过两次", "第3批共120件", "合计4500元", "参考文档第17页", "温度保持在25度", "准确率达到98.5%", "版本2.1.0已发布",
]  # fmt: skip


def corpus(seed: int, size: int) -> Iterator[Sample]:
    """`size` samples of every kind in turn."""
    rng = random.Random(seed)
    makers: list[Callable[[random.Random], Sample]] = [_sentence, _sentence, _glued, _json, _table, _chat, _decoys]
    for number in range(size):
        yield makers[number % len(makers)](rng)


def digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(n))


def phone(rng: random.Random) -> str:
    return f"1{rng.choice(['3', '5', '7', '8', '9'])}{digits(rng, 9)}"


def resident(rng: random.Random) -> str:
    """Half of them with a check digit that is wrong, as in texts that models write."""
    body = f"{rng.choice(_PROVINCES)}{digits(rng, 4)}{rng.randint(1940, 2015)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    body += digits(rng, 3)
    weights = [2 ** (17 - i) % 11 for i in range(17)]
    check = "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]
    return body + (check if rng.random() < 0.5 else rng.choice("0123456789X"))


def old_resident(rng: random.Random) -> str:
    born = f"{rng.randint(40, 99)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    return f"{rng.choice(_PROVINCES)}{digits(rng, 4)}{born}{digits(rng, 3)}"


def card(rng: random.Random) -> str:
    body = f"62{digits(rng, rng.choice([13, 16]))}"
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return body + str(-total % 10)


def credit_code(rng: random.Random) -> str:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = rng.choice(["91", "92", "93", "51", "52", "12"]) + f"{rng.choice(_PROVINCES)}{digits(rng, 4)}"
    body += "".join(rng.choice(alphabet) for _ in range(9))
    total = sum(alphabet.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return body + alphabet[-total % 31]


def landline(rng: random.Random) -> str:
    area = rng.choice(["010", "021", "020", "0571", "0755", "0431", "0532"])
    number = str(rng.randint(2, 8)) + digits(rng, 7)
    return rng.choice([f"{area}-{number}", f"({area}){number}", f"{area}-{number}"])


def ipv4(rng: random.Random) -> str:
    first = rng.randint(11, 223)
    first -= first == 127  # this machine, nobody's
    return f"{first}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def email(rng: random.Random) -> str:
    user = rng.choice(["zhang.san", "li_si", "wangwu", "chen-lei", "m"]) + digits(rng, rng.randint(0, 4))
    return f"{user}@{rng.choice(['qq.com', '163.com', 'example.com.cn', 'mail.bjtu.edu.cn', 'gmail.com'])}"


def plate(rng: random.Random) -> str:
    city = rng.choice("京沪粤浙苏川鲁豫冀湘") + rng.choice("ABCDEFGH")
    serial = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(4)) + rng.choice("0123456789")
    return rng.choice([f"{city}{serial}", f"{city}·{serial}", f"{city}D{digits(rng, 5)}"])


def imei(rng: random.Random) -> str:
    body = f"{rng.choice(['35', '86'])}{digits(rng, 12)}"
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return body + str(-total % 10)


_MADE: dict[str, tuple[Callable[[random.Random], str], list[str], list[str]]] = {
    "CN_PHONE": (phone, ["手机号", "联系电话：", "请拨打", "", "手机"], ["phone", "mobile", "手机号", "contact_phone"]),
    "CN_LANDLINE": (landline, ["座机", "办公电话：", "传真"], ["tel", "fax", "固话"]),
    "CN_ID": (resident, ["身份证号", "身份证：", "证件号码", ""], ["id_card", "身份证", "idCard"]),
    "BANK_CARD": (card, ["卡号", "银行卡：", "收款账号", ""], ["card_no", "银行卡号", "bankCard"]),
    "CN_USCC": (credit_code, ["统一社会信用代码", "税号：", ""], ["uscc", "credit_code", "纳税人识别号"]),
    "EMAIL": (email, ["邮箱", "请发到", "邮件："], ["email", "邮箱"]),
    "CN_PLATE": (plate, ["车牌", "车牌号：", "那辆"], ["plate", "车牌号"]),
    "PASSPORT": (lambda rng: rng.choice("EG") + digits(rng, 8), ["护照", "护照号：", "护照号码是"], ["passport", "护照号"]),
    "HK_MO_PERMIT": (lambda rng: rng.choice("HM") + digits(rng, 8), ["回乡证", "港澳通行证：", "来往内地通行证号"], ["permit", "通行证号"]),
    "TW_PERMIT": (lambda rng: digits(rng, 8), ["台胞证", "台胞证号：", "台湾居民来往大陆通行证"], ["台胞证", "台胞证号"]),
    "QQ": (lambda rng: rng.choice("123456789") + digits(rng, rng.randint(5, 9)), ["QQ", "QQ号：", "加qq"], ["qq", "QQ号"]),
    "WECHAT": (lambda rng: rng.choice(["wx", "li_", "abc"]) + "_" + digits(rng, 6), ["微信号", "微信：", "加微信"], ["wechat", "微信号"]),
    "IMEI": (imei, ["IMEI", "设备串号：", "IMEI号"], ["imei", "IMEI"]),
    "IPV4": (ipv4, ["IP", "来源地址", "登录IP："], ["ip", "client_ip"]),
    "MAC": (lambda rng: ":".join(f"{rng.randrange(256):02x}" for _ in range(6)), ["MAC", "物理地址"], ["mac"]),
}  # fmt: skip
STRUCTURED = tuple(_MADE)


def _spelled(rng: random.Random, kind: str, value: str) -> str:
    """With separators, in full width, or as it is."""
    chance = rng.random()
    if kind == "CN_PHONE":
        if chance < 0.15:
            return f"{value[:3]}-{value[3:7]}-{value[7:]}"
        if chance < 0.3:
            return f"{value[:3]} {value[3:7]} {value[7:]}"
    if kind == "BANK_CARD" and chance < 0.3:
        return " ".join(value[i : i + 4] for i in range(0, len(value), 4))
    if kind == "CN_ID" and chance < 0.1:
        return f"{value[:6]} {value[6:14]} {value[14:]}"
    if kind in ("CN_PHONE", "CN_ID", "BANK_CARD", "QQ") and chance > 0.85:
        return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in value)
    return value


class _Text:
    def __init__(self) -> None:
        self.text = ""
        self.truths: list[Truth] = []

    def add(self, text: str) -> _Text:
        self.text += text
        return self

    def value(self, kind: str, text: str) -> _Text:
        self.truths.append(Truth(kind, len(self.text), len(self.text) + len(text)))
        self.text += text
        return self

    def sample(self, form: str = "text") -> Sample:
        return Sample(self.text, tuple(self.truths), form)


def _one(rng: random.Random) -> tuple[str, str, str, str]:
    kind = rng.choice(STRUCTURED)
    make, words, names = _MADE[kind]
    return kind, _spelled(rng, kind, make(rng)), rng.choice(words), rng.choice(names)


def _sentence(rng: random.Random) -> Sample:
    text = _Text().add(rng.choice(_SURNAMES) + rng.choice(_GIVEN) + "，")
    for _ in range(rng.randint(1, 3)):
        kind, value, word, _ = _one(rng)
        text.add(rng.choice(["", "您的", "客户"]) + word + rng.choice(["", " ", "为", "是"])).value(kind, value)
        text.add(rng.choice(["，", "。", "；"]) + rng.choice(_FILL) + "。")
    return text.sample()


def _glued(rng: random.Random) -> Sample:
    """Digits right between 汉字."""
    kind = rng.choice(["CN_PHONE", "CN_ID", "BANK_CARD", "CN_PHONE"])
    make, words, _ = _MADE[kind]
    text = _Text().add(rng.choice(_FILL) + words[0]).value(kind, make(rng)).add("请" + rng.choice(_FILL))
    if rng.random() < 0.3:
        text.add("，身份证").value("CN_ID", old_resident(rng)).add("已登记")
    return text.sample()


def _json(rng: random.Random) -> Sample:
    """As a line of JSON; the spans are in that line."""
    text = _Text().add('{"id": ' + digits(rng, 3).lstrip("0") + "1")
    for number in range(rng.randint(2, 4)):
        kind, value, _, name = _one(rng)
        text.add(f', "{name}{number or ""}": "' if name.isascii() else f', "{name}": "').value(kind, value).add('"')
        text.add(f', "note{number}": {json.dumps(rng.choice(_FILL), ensure_ascii=False)}')
    return text.add("}").sample("json")


def _table(rng: random.Random) -> Sample:
    """A Markdown table whose header names the columns of what is told by its form alone."""
    text = _Text().add("| 姓名 | 手机 | 身份证 | 金额 |\n|---|---|---|---|\n")
    for _ in range(rng.randint(2, 4)):
        text.add(f"| {rng.choice(_SURNAMES)}{rng.choice(_GIVEN)} | ").value("CN_PHONE", phone(rng)).add(" | ")
        text.value("CN_ID", resident(rng)).add(f" | {rng.randint(10, 99999)} |\n")
    return text.sample()


def _chat(rng: random.Random) -> Sample:
    text = _Text()
    for _ in range(rng.randint(2, 4)):
        kind, value, word, _ = _one(rng)
        text.add(f"[{rng.randint(10, 23)}:{rng.randint(10, 59)}] 客服：请提供一下{word}\n")
        text.add(f"[{rng.randint(10, 23)}:{rng.randint(10, 59)}] 用户：{word or '号码'}").value(kind, value)
        text.add(rng.choice(["\n", "，" + rng.choice(_FILL) + "\n"]))
    return text.sample()


def _decoys(rng: random.Random) -> Sample:
    """Numbers that are none of the types: years, codes, amounts, orders."""
    text = _Text()
    for _ in range(rng.randint(2, 5)):
        text.add(
            rng.choice(
                [
                    f"订单号{digits(rng, 12)}",
                    f"快递单号SF{digits(rng, 13)}",
                    f"验证码{digits(rng, 4)}",
                    f"合同编号HT{digits(rng, 8)}",
                    f"批次{digits(rng, 8)}",
                    f"{rng.randint(1990, 2030)}年度报告",
                    f"金额{digits(rng, 5)}.{digits(rng, 2)}元",
                    f"流水{digits(rng, 16)}",
                    "圆周率3.14159265358979",
                    f"邮编{digits(rng, 6)}",
                    f"共{digits(rng, 4)}条",
                    f"工号{digits(rng, 8)}",
                    f"版本号1.{digits(rng, 1)}.0.{digits(rng, 2)}",
                ]
            )
        ).add(rng.choice(["，", "；", "。"]))
    return text.sample()
