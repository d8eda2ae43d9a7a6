"""Words that speak for a type where they stand near a candidate, or name its field."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Areas, Buffer, Bytes, Flags, Offsets
from services.runtime.deid.reaches import among_bytes, reach
from services.runtime.deid.recognisers.between import MARKUP
from services.runtime.deid.recognisers.resolution import Places
from services.runtime.deid.spellings import both, spelled

_GLUED = tuple(f"{before}password" for before in ("pg", "db", "my", "root", "user", "admin", "new", "old", "login"))
_SPACED = tuple(f"密{blank}码" for blank in (" ", "  ", "\u3000", "\u3000\u3000"))

_CONTACT = tuple(f"contact{sign}{number}" for sign in ("", " ", "_") for number in ("no", "number"))

_ADDRESSES = tuple(
    f"{which}{sign}address"
    for which in ("home", "street", "shipping", "billing", "mailing", "delivery", "postal", "residential")
    for sign in ("", "_", "-", " ")
) + tuple(f"address{line}{number}" for line in ("", "line", "_line_", "_line", " line ") for number in "12")

_BIRTH = (
    "出生", "出生日期", "出生年月", "出生年月日", "生日", "birth", "date of birth", "date_of_birth", "dateofbirth",
    "birth date", "birth_date", "birthdate", "dob", "birthday",
)  # fmt: skip

PERSONS: Final = frozenset({
    "first", "last", "full", "given", "family", "middle", "maiden", "real", "legal", "customer", "cust", "client",
    "patient", "employee", "student", "contact", "recipient", "receiver", "consignee", "sender", "buyer", "payee",
    "payer", "cardholder", "holder", "guest", "passenger", "applicant", "candidate", "member", "teacher", "doctor",
    "guardian", "parent", "father", "mother", "spouse", "husband", "wife", "sur", "fore",
})  # fmt: skip
"""Before `name` where it is a person's."""

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "phone": (
        "手机", "电话", "联系方式", "致电", "来电", "拨打", "热线", "座机", "固话", "传真", "短信", "phone", "mobile",
        "tel", "telephone", "cell", "cellphone", "fax", "call", "sms", "phoneno", "phonenumber", "mobileno",
        "mobilenumber", "telno", *_CONTACT,
    ),
    "id": ("身份证", "身份号", "证件号", "证号", "公民身份", "身份号码", "身分证", "id_card", "idcard", "id card",
           "identity", "sfz", "id_no", "idno", "id number", "id_number", "idnumber", "cert_no", "certno", "citizen"),
    "card": ("银行卡", "卡号", "账号", "帐号", "账户", "帐户", "储蓄卡", "借记卡", "信用卡", "打款", "转账", "汇款",
             "开户",
             "card", "bank", "account", "credit", "visa", "mastercard"),
    "account": ("卡号", "账号", "帐号", "账户", "帐户", "银行卡", "信用卡", "储蓄卡", "借记卡", "card number",
                "card_number", "cardnumber", "card no", "card_no", "cardno", "bank card", "bank_card", "bankcard",
                "account", "account number", "account_number", "accountnumber", "account no", "account_no",
                "accountno"),
    "uscc": ("信用代码", "社会信用", "统一代码", "税号", "纳税人", "营业执照", "uscc", "credit_code", "tax_no"),
    "passport": ("护照", "passport"),
    "permit": ("通行证", "回乡证", "港澳", "来往内地", "permit"),
    "tw": ("台胞证", "台湾居民", "大陆通行证", "台湾通行证"),
    "imei": ("imei", "串号", "设备号", "设备码"),
    "qq": ("qq", "扣扣", "企鹅号"),
    "wechat": ("微信", "wechat", "weixin", "wxid", "vx", "wx", "薇信", "威信", "徽信", "v信", "加v", "加我v",
               "加微", "加我微"),
    "plus": ("+v", "➕v"),
    "wxid": ("wxid",),
    "ssn": ("ssn", "social security", "social_security", "socialsecurity", "社会安全", "社会保障号", "itin", "tax id",
            "tax_id", "taxid", "taxpayer id", "taxpayer_id", "taxpayer identification"),
    "iban": ("iban",),
    "birth": _BIRTH,
    "date": (*_BIRTH, "日期", "签发", "签发日", "有效期", "有效期限", "有效期至", "有效期自", "到期", "到期日", "生效",
             "生效日", "截至", "截止", "date", "issued", "issued on", "expires", "expires on", "expiry", "expiration",
             "valid until", "valid from", "valid through", "valid thru"),
    "plate": ("车牌", "牌照", "车号", "plate"),
    "secret": ("password", "passwd", "pwd", "secret", "api_key", "apikey", "api-key", "access_key", "access key",
               "secret_key", "secretkey", "accesskey", "appkey", "app_key", "密码", "口令", "密钥",
               "private_key", "api key", "secret key", "accountkey", "passphrase", "passcode", "秘钥", "私钥",
               "privatekey", "private key", *_SPACED,
               "client-key-data", "auth-key", "auth_key", "mch_key", "mchkey", "corpsecret", "appsecret", "sessionid",
               "jsessionid", "phpsessid", "csrftoken", "requirepass", "masterauth", "encryptionkey", "signingkey",
               "aeskey", "encodingaeskey", *_GLUED),
    "token": ("token",),
    "password": ("password", "passwd", "pwd", "passcode", "密码", "口令", *_SPACED, "identified by", "requirepass",
                 "masterauth", *_GLUED),
    "pass": ("pass", "psw"),
    "short": ("pw", "psk"),
    "key": ("_key", "-key"),
    "authorization": ("authorization",),
    "pin": ("pin",),
    "client": ("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb"),
    "login": ("docker login", "podman login", "nerdctl login", "sshpass", "mongosh", "mongodump", "mongorestore"),
    "redis": ("redis-cli",),
    "curl": ("curl",),
    "wandb": ("wandb login",),
    "option": ("--token", "--api-key", "--api_key", "--apikey", "--access-token", "--auth-token", "--secret-key"),
    "keys": ("ak", "sk", "access_key_id", "access-key-id", "accesskeyid"),
    "bearer": ("bearer", "basic"),
    "mac": ("mac", "hwaddr", "物理地址", "硬件地址"),
    "name": ("name", *(f"{whose}{sign}name" for whose in sorted(PERSONS) for sign in ("", "_", "-", " ")),
             "姓名", "联系人", "收件人", "收货人", "客户姓名", "客户", "用户姓名", "contact", "联系人姓名", "患者",
             "学生姓名", "员工姓名", "真实姓名", "叫", "我叫"),
    "role": ("customer", "patient", "client", "employee", "student", "contact"),
    "title": ("mr", "mrs", "ms", "dr", "prof", "dear"),
    "address": ("address", "地址", "住址", "家庭住址", "收货地址", "联系地址", "户籍地址", "现住址", "住在", "通讯地址",
                "详细地址", "家庭地址", "居住地址", "收件地址", "送货地址", "家住", *_ADDRESSES),
    "place": ("street", "road", "city", "town", "village", "district", "county", "province", "state", "zip", "zipcode",
              "zip_code", "postcode", "postalcode", "postal_code", "line1", "line2", "building", "detail", "省", "省份",
              "市", "城市", "区", "区县", "县", "街道", "门牌号"),
    "isbn": ("isbn",),
    "doi": ("doi",),
    "schema": ("xmlns", "schemalocation", "$schema"),
    "doctype": ("!doctype",),
    "net": ("ip", "来源", "地址", "登录", "访问", "host", "server", "dns", "gateway", "网关", "服务器", "主机"),
    "other": ("订单", "单号", "流水", "快递", "运单", "版本", "编号", "批次", "型号", "合同号", "金额", "数量", "邮编",
              "价格", "余额", "流水号", "条码", "序号", "order", "tracking", "version", "invoice", "serial", "amount",
              "price", "sku", "build", "firmware", "release"),
    "version": ("版本", "version", "build", "firmware", "release"),
    "product": ("jdk", "jre", "java", "python", "oracle", "mysql", "mariadb", "unity", "intellij", "pycharm",
                "webstorm", "goland", "clion", "datagrip", "phpstorm"),
}  # fmt: skip

BITS: Final = {name: 1 << index for index, name in enumerate(WORDS)}

_NEAR_BEFORE = 40
_NEAR_AFTER = 4
_NEXT_WORD = 12
_DIGITS, _LONGEST_COUNT = among_bytes("0123456789"), 2
_SHORTEST_CLAUSE = 7
"""Bytes, with the sign that it begins after."""
_SHORTEST_VALUE = 3
"""Digits; the word before a value says nothing of the next one that has a word of its own."""
_CALLED = re.compile(
    both(
        rf"(?:[\s:=#_\"'(.>-]|：|（|群|号|码|是|为|于|is|no|number|num|id|code|v|{MARKUP}"
        r"|[0-9.]{3,15}\s?(?:[,-]|->|→|、|和|及|或|至|到|and|or|to)){0,12}"
    ).encode(),
    re.IGNORECASE,
)
"""What stands between the name of a number and the number, others of a list included."""

_CALLED_OTHERWISE = re.compile(
    r"(?:[，。；！？,;!?\n]|[:：=]\s?\S{1,40}\s)[\s\"'{\[]*"
    r"(?!(?:其|该|證件|证件|document|its|the|my)?\s?(?:[号號][码碼]?|num(?:ber)?|no|id|value)(?!\w))"
    r"[^\W0-9](?:[^\W0-9]|[ -]){0,23}?[\"'*]{0,3}(?:[:：=#]|[号號][码碼]?|[码碼]|(?<![A-Za-z])(?:no|number|id)\.?)"
    r"[\s\"'*:：=#(（]{0,4}\Z",
    re.IGNORECASE,
)
"""The end of a clause, and another name than a mere `号码` up to where the candidate begins."""


@cache
def listed(classes: frozenset[str]) -> tuple[list[bytes], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Each word once, caseless, with its length, the bits of its classes, and whether it is of letters."""
    bits: dict[str, int] = {}
    for name in sorted(classes):
        words = WORDS[name]
        for word in words:
            for way in spelled(word):
                bits[way] = bits.get(way, 0) | BITS[name]
    listed = [word.encode() for word in bits]
    return (
        listed,
        np.array([len(word) for word in listed], dtype=np.int64),
        np.array(list(bits.values()), dtype=np.int64),
        np.array([word.isascii() for word in listed], dtype=np.bool_),
    )


class Words:
    """The words of a buffer, by where they end: `starts`, `ends`, `bits` of their classes."""

    def __init__(self, content: Bytes, starts: Offsets, ends: Offsets, bits: Offsets) -> None:
        self._content = content
        self.starts, self.ends, self.bits = starts, ends, bits
        self._named: tuple[Areas, Offsets] | None = None

    @classmethod
    def of(cls, content: Bytes, classes: frozenset[str], number: Offsets, ends: Offsets) -> Words:
        """`number`: of each word that is found, as `listed`, with its end; a word of letters is apart from others."""
        _, lengths, bits, ascii_words = listed(classes)
        starts = ends - lengths[number]
        before = content[np.maximum(starts - 1, 0)] * (starts > 0)
        after = content[np.minimum(ends, len(content) - 1)] * (ends < len(content)) if len(content) else before
        first = content[starts] if len(starts) else before
        capital = _is_upper(first)
        apart = ~_is_letter(before) | (_is_lower(before) & capital) | ~_is_letter(first)
        apart &= ~_is_lower(after) | (after == ord("s"))
        kept = apart | ~ascii_words[number]
        return cls(content, starts[kept], ends[kept], bits[number][kept])

    def only(self, bits: int) -> Words:
        """The words of these classes, with those alone."""
        kept = (self.bits & bits) > 0
        return Words(self._content, self.starts[kept], self.ends[kept], self.bits[kept] & bits)

    def every_bit(self) -> int:
        """The classes of which there is a word anywhere."""
        return int(np.bitwise_or.reduce(self.bits, initial=0))

    def near(self, starts: Offsets, ends: Offsets, buffer: Buffer, area: Offsets) -> Offsets:
        """The classes of the nearest words before each candidate, in brackets after it, and in its field's name."""
        if not len(self.ends):
            return np.zeros(len(starts), dtype=np.int64)
        last = np.searchsorted(self.ends, starts, side="right") - 1
        areas, floor = buffer.areas, buffer.floors[area]
        near = (last >= 0) & (starts - self.ends[last] <= _NEAR_BEFORE) & (self.starts[last] >= floor)
        found = np.where(near, self.bits[last], 0)
        earlier = np.maximum(last - 1, 0)
        one_more = near & (last >= 1) & (self.starts[last] - self.ends[earlier] <= _NEXT_WORD)
        one_more &= self.starts[earlier] >= floor
        some = np.flatnonzero(one_more)
        values = buffer.runs.starts[buffer.runs.digits >= _SHORTEST_VALUE]
        between = np.searchsorted(values, self.starts[last[some]]) - np.searchsorted(values, self.ends[earlier[some]])
        one_more[some[between > 0]] = False
        found |= np.where(one_more, self.bits[earlier], 0)
        following = np.minimum(np.searchsorted(self.starts, ends), len(self.starts) - 1)
        gap = self.starts[following] - ends
        after = (gap > 0) & (gap <= _NEAR_AFTER) & (self.ends[following] <= areas.ends[area])
        bracket = self._content[np.minimum(ends, len(self._content) - 1)]
        after &= (bracket == ord("(")) | ((bracket == 0xEF) & (self._content[self.starts[following] - 1] == 0x88))
        found |= np.where(after, self.bits[following], 0)
        return found | self.of_names(areas)[area]

    def called_otherwise(self, bits: Offsets, starts: Offsets, buffer: Buffer, area: Offsets) -> Flags:
        """Whether between the nearest word of one of the classes given for each candidate and the candidate a new
        clause names it: `护照有效，SKU：P12345678`. What the name of its field says holds all the same.
        """
        found = np.zeros(len(starts), dtype=np.bool_)
        asked = np.flatnonzero((bits > 0) & ((bits & self.of_names(buffer.areas)[area]) == 0))
        last = np.searchsorted(self.ends, starts[asked], side="right") - 1
        last -= (last > 0) & ((self.bits[last] & bits[asked]) == 0)
        gap = starts[asked] - self.ends[last]
        far = (gap >= _SHORTEST_CLAUSE) & (gap <= 2 * _NEAR_BEFORE)
        asked, before = asked[far], self.ends[last[far]]
        for index, first, start in zip(asked.tolist(), before.tolist(), starts[asked].tolist(), strict=True):
            between = self._content[first:start].tobytes().decode(errors="ignore")
            found[index] = _CALLED_OTHERWISE.search(between) is not None
        return found

    def right_before(self, bits: Offsets, starts: Offsets, buffer: Buffer, area: Offsets) -> Flags:
        """Whether a word of one of the classes given for each candidate is what it is called, with at most others of
        its like between them: in the text, or as the name of its field.
        """
        found = np.zeros(len(starts), dtype=np.bool_)
        asked = np.flatnonzero(bits)
        if not len(self.ends) or not len(asked):
            return found
        areas, starts, bits, area = buffer.areas, starts[asked], bits[asked], area[asked]
        last = self._last(bits, starts)
        near = (last >= 0) & ((self.bits[last] & bits) > 0) & (self.starts[last] >= buffer.floors[area])
        near &= starts - self.ends[last] <= _NEAR_BEFORE
        called = self._only_called(near, self.ends[last], starts)
        name_ends, begins = areas.name_ends[area], areas.starts[area]
        last = self._last(bits, name_ends)
        near = (last >= 0) & ((self.bits[last] & bits) > 0) & (self.starts[last] >= areas.name_starts[area])
        near &= (name_ends - self.ends[last] <= _NEAR_BEFORE) & (starts - begins <= _NEAR_BEFORE) & ~called
        counted = reach(self._content, name_ends, _DIGITS, _LONGEST_COUNT, back=True)  # `qq2`
        near = self._only_called(near, self.ends[last], name_ends - counted)
        found[asked] = called | self._only_called(near, begins, starts)
        return found

    def _last(self, bits: Offsets, at: Offsets) -> Offsets:
        """The last word up to each place: of the two in `出生日期` the one that is of one of the classes."""
        last = np.searchsorted(self.ends, at, side="right") - 1
        earlier = np.maximum(last - 1, 0)
        other = (last > 0) & (self.bits[last] & bits == 0) & (self.ends[earlier] == self.ends[last])
        return np.where(other, earlier, last)

    def _only_called(self, chosen: Flags, starts: Offsets, ends: Offsets) -> Flags:
        """Of those chosen, between whose two places is nothing but what stands between a name and its number."""
        index = np.flatnonzero(chosen)
        places = zip(starts[index].tolist(), ends[index].tolist(), strict=True)
        fits = [_CALLED.fullmatch(self._content[start:end].tobytes()) is not None for start, end in places]
        called = np.zeros(len(chosen), dtype=np.bool_)
        called[index] = fits
        return called

    def of_names(self, areas: Areas, *, whole: bool = False) -> Offsets:
        """The classes of the words in the name of each area's field; with `whole`, where the word is all of it."""
        if whole:
            return self._of_names(areas, whole=True)
        if self._named is None or self._named[0] is not areas:
            self._named = areas, self._of_names(areas, whole=False)
        return self._named[1]

    def _of_names(self, areas: Areas, *, whole: bool) -> Offsets:
        if not len(self.ends):
            return np.zeros(len(areas.starts), dtype=np.int64)
        found = np.zeros(len(areas.starts), dtype=np.int64)
        last = np.searchsorted(self.ends, areas.name_ends, side="right") - 1
        for back in range(3):
            index = np.maximum(last - back, 0)
            if whole:
                inside = (self.starts[index] == areas.name_starts) & (self.ends[index] == areas.name_ends)
            else:
                inside = self.starts[index] >= areas.name_starts
            inside &= (last >= back) & (areas.name_ends > areas.name_starts)
            found |= np.where(inside, self.bits[index], 0)
        return found

    def followed(
        self, name: str, buffer: Buffer, runs: Places, suitable: Flags, farthest: int
    ) -> list[tuple[int, int]]:
        """Where a word of a class, or the beginning of a field named by one, is closely followed by a suitable run."""
        if not len(runs.starts) or not len(buffer.areas.starts):
            return []
        before = self.ends[(self.bits & BITS[name]) > 0]
        named = (self.of_names(buffer.areas) & BITS[name]) > 0
        if named.any():
            before = np.unique(np.concatenate([before, buffer.areas.starts[named]]))
        following = np.searchsorted(runs.starts, before)
        near = following < len(runs.starts)
        before, following = before[near], following[near]
        near = (runs.starts[following] - before <= farthest) & suitable[following]
        before, following = before[near], following[near]
        same = buffer.floors[buffer.area_of(runs.starts[following])] <= before
        return list(zip(before[same].tolist(), following[same].tolist(), strict=True))


def _is_lower(characters: Bytes) -> NDArray[np.bool_]:
    return (characters - np.uint8(ord("a"))) < 26


def _is_upper(characters: Bytes) -> NDArray[np.bool_]:
    return (characters - np.uint8(ord("A"))) < 26


def _is_letter(characters: Bytes) -> NDArray[np.bool_]:
    return _is_lower(characters | np.uint8(0x20))
