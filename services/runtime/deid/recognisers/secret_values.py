"""Passwords and tokens after the words that announce them, told from code, templates and prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from services.runtime.deid.reaches import among_bytes
from services.runtime.deid.recognisers.between import ARROW, MARKS, MARKUP, TAG
from services.runtime.deid.recognisers.value_forms import Form

# What is possessive below could never match with less; it only spares the attempts.
_SIGN, _SIGN_WITHIN = r"[^0-9@#$^*!+~?%]*+[0-9@#$^*!+~?%]", r"(?:[^0-9]*+[0-9]|(?s:.*?)[@#$^*!+~?%][A-Za-z])"
_TEMPLATE = (
    r"(?![A-Za-z0-9_])(?:"
    r"[$#%@]?\{|[$%]\(|\$[A-Za-z_]++(?![A-Za-z0-9_])|%[a-z](?![A-Za-z0-9])|[@:&*!]{1,2}[A-Za-z_.']++[;,)]*\Z"
    r"|<[^>]{0,256}>|&(?:#x3[Cc]|lt);|\[[A-Za-z_ |]{1,64}\]\Z|(?:~|\.{1,2})?(?:/[a-z0-9_.-]{1,64}+){2,64}+\Z)"
    r"|(?:os\.(?:environ|getenv)|process\.env|System\.getenv)(?![A-Za-z0-9_])"
)
"""What a program puts the value in the place of, and the tokens of models: `${…}`, `<…>`, `[MASK]`, `:name`, paths."""
_EXPRESSION = (
    r"(?:[A-Za-z_]\w*+=)?[A-Za-z_][\w.?]*+(?:(?:::|->)[\w.?]*+)*+[(\[<{]|[rRfF]{1,2}'"
    r"|[A-Za-z_]{1,64}+[0-9]{0,2}+(?:(?:\??\.|->|::)[A-Za-z_]{1,64}+[0-9]{0,2}+){1,32}+[;,)]*\Z"
)
"""Of code: calls, also as the default of a type, items, types of types, patterns, dotted names."""
_NAME = (
    r"(?=[UuIiFfCcSsAaRrHhBbPp])(?i:(?:u?int|float|complex|sha|aes|rsa|hmac-sha|base)"
    r"[-_]?(?:8|16|32|58|64|85|128|192|224|256|384|512|1024|2048)(?:_t)?|pbkdf2)(?![0-9A-Za-z:$])"
)
"""Numeric types, and ways to hash and to encode."""
_DECLARED = (
    r"(?i:n?(?:var)?char|str(?:ing)?|text|required|nullable|optional|none|null|true|false|undefined"
    r"|(?:min|max)(?:imum)?[_-]?len(?:gth)?(?:[_-]?[0-9]{1,3})?)(?:\Z|[\s(|:,;?])"
)
"""What schemas and rules of forms say of a field in the place of its value."""


def _judge(sign: str, *others: str) -> re.Pattern[bytes]:
    """Letters together with digits or signs, and nothing of a program; words of letters alone may be any."""
    kept_out = "|".join((_TEMPLATE, _NAME, _DECLARED, "http", *others))
    return re.compile(rf"(?={sign})(?=[^A-Za-z]*+[A-Za-z])(?!{kept_out})".encode())


_NO_PASSWORD = re.compile(
    (
        rf"{_TEMPLATE}|{_DECLARED}|(?:[\x80-\xff]++|([!-/:-@[-`{{-~])\1*+|[Xx]{{3,}}+)\Z"
        r"|[\x80-\xff]{6,}+[0-9 ~-]{1,8}+(?:位|个|個)(?:[\x80-\xff]|[0-9 ,~-])*+\Z"
        r"|(?=[A-Za-z ,.'!?:-]*+\Z)(?:P(?i:assword)s?\Z|.* (?i:password)|.*(?i:password)\b.* )"
    ).encode()
)
"""Templates, types, masks and labels."""
_ARRAY = re.compile(
    rb"\[\s*(?:[\[{]\s*)*+(?:\\*\"|[\]}]|(?:-?[0-9][0-9.eE+-]*+|true|false|null)\s*[,\]])(?s:.*)(?<=\])\s*\Z"
)
_ELEMENT = re.compile(rb"(?<=[\[, ])\\*\"([^\"\\]++)\\*\"(?=\s*[,\]])")
"""JSON within a string, and a string in it that is no value of a name."""
SECRET, BARE, _SAID = _judge(_SIGN), _judge(_SIGN, _EXPRESSION), _judge(_SIGN_WITHIN, _EXPRESSION)
"""Of a whole value, in quotes, without, and in a sentence, where a sign at the end is the sentence's."""

_SPACES, _OTHERS = among_bytes(" \t\n\r\f\v"), np.arange(256) >= 0x80
_AFTER_NAME = _SPACES | among_bytes("\"'\\])*_`<|") | _OTHERS
_STRUCTURE = (
    r"(?:[;,|]|&(?:amp;)?)\s?(?:[A-Za-z_][A-Za-z0-9_. -]{0,31}+[=:]|\Z)|\|[\s\x80-\xff]"
    r"|</?[A-Za-z][A-Za-z:_-]{0,31}+[1-6]?(?:[\s/]|>)|</[A-Za-z][\w:.-]{0,63}+>|&(?:lt|gt|quot|apos|nbsp);"
)
"""What follows an unquoted value and is none of it: the next field, or a tag."""
_UNQUOTED = rf"[!#-%'-+\--:=-_a-{{}}~]*+(?:(?!{_STRUCTURE})[&,;<|][!#-%'-+\--:=-_a-{{}}~]*+)*+"
_WITHIN = (  # a quote before these closes what it is in, but where all up to the next one can be no code
    r"(?:(?![\s,;:.+)\]}}])|(?![)\]}}]*+[,;:.+]++[A-Za-z_(])"
    r"(?=[!#-&(-~]{{5,255}}+(?<![,;:.+%&|=(\[{{]){quote}[\"']?\s{{0,4}}(?:[,;}}\n]|\Z)))"
)
_IN_DOUBLE, _IN_SINGLE = (_WITHIN.format(quote=quote) for quote in "\"'")
_OPENS = rf"(?:[\s\\]|“|‘|「|『|【|{MARKUP})"
_NAME_ENDS = rf"[\s\"'\\\])]{{0,6}}+(?:(?:”|’|」|{MARKS})[\s\"'\\\])]{{0,6}}+){{0,3}}+"
_TYPED = r":\s?[A-Za-z][\w.\[\]]{0,31}+(?:[ \t]=(?!=)|=(?=[ \t]?[bBuU]?[\"']))"
_ASSIGNED = (
    rf"{_NAME_ENDS}(?=[:=\xef-])(?:{_TYPED}|(?:=|-{{1,2}})>(?=[\s\\]{{0,3}}[\"'])|:=|={{1,3}}(?!>)|:|：){_OPENS}{{0,4}}"
    rf"(?:[bBuU]?\"{_IN_DOUBLE}(?:([ !#-~]{{6,64}})\"|([!#-~]{{6,256}}))"
    rf"|[bBuU]?'{_IN_SINGLE}(?:([ -&(-~]{{6,64}})'|([!-&(-~]{{6,256}}))"
    rf"|(?<=\*)([!#-&()+-_a-~]{{6,256}}+)(?=\*)|(?<=__)([!#-&(-^a-~]{{6,256}}+)(?=__)|((?=[!#-&(-_a-~]){_UNQUOTED}))"
)
ASSIGNED = Form(_ASSIGNED, _AFTER_NAME | among_bytes(":=-"), (*[SECRET] * 6, BARE))
"""`password = "…"`, `"password" => "…"`, `密码：…`, `password: str = "…"`: a value with `=` has no type."""
SHORT_NAMED = Form(
    rf"(?={_NAME_ENDS}(?::(?!=)|：|[:=]{{1,3}}[\s\\]{{0,3}}[\"'])){_ASSIGNED}", ASSIGNED.begins, ASSIGNED.judges
)
"""`pw: …`, `psk="…"`: without a colon or quotes they are numbers of code."""
ARGUMENT = Form(
    r"[\"']\s?,\s?[\"'](?=[!-~]{0,255}?[0-9])([!#-&(-~]{8,256})[\"']\s?(?:\)|,\s?[A-Za-z_]{1,32}=)",
    among_bytes("\"'"),
    (SECRET,),
)
"""`set("token", "…")`."""
_TELLS = (
    r"(?:\s(?:is|was|has|been|now|set|reset|changed|to)\b"
    r"|[ \t]?(?:了|已|被|都|还|仍|均|修改|更改|重置|设置|设定|改|设|换|变|是|为|為|成)){1,5}"
    rf"(?::|：)?(?:{_OPENS}|[\"'(]|（){{0,4}}"
)
_TOLD = rf"{_TELLS}((?=[!#-&(-_a-~]){_UNQUOTED})"
TOLD = Form(_TOLD, _SPACES | _OTHERS, (_SAID,))
"""`the password is …`, `密码改成…`."""
KEY_TOLD = Form(_TOLD, _SPACES | _OTHERS, (_SAID,), least=12)
"""`your API key is …`: shorter words there are mostly of models."""
BESIDE = Form(
    r"(?:(?<=[^\x00-\x7f])[ \t]{0,2}(?:[(\"']|（|【|“|‘|「|『)?([A-Za-z0-9!@#$%^&*+~?_.-]{6,64})"
    r"|[ \t]{1,2}[(\"']?([A-Za-z0-9!@#$%^&*+~?]{6,64}))(?![=:_/\\(\[-]|\.[A-Za-z0-9])",
    _SPACES,
    (_SAID, _SAID),
    glued=True,
)
"""`密码 …`, `--password …`."""
MARKED = Form(
    rf"[\"'`*]{{0,3}}(?:[ \t]{{0,2}}(?:{ARROW}|\||-(?=[ \t]))[ \t]{{0,2}}[`*]{{0,3}}|[ \t]{{0,2}}(?:`|\*\*))"
    r"([A-Za-z0-9!@#$%^&+~?_.-]{6,64}+)(?![=:/\\(\[])",
    _SPACES | among_bytes("\"'`*|-=") | (np.arange(256) == 0xE2),
    (_SAID,),
)
"""`密码 → …`, `| 密码 | … |`, "password `…`"."""
ELEMENT = Form(
    r"(?:(?:\s[^<>\n]{0,64}+)?>\s{0,8}+([!-;=-~]{6,256}+)\s{0,8}</"
    r"|[\"'][^<>\n]{0,64}+>\s{0,8}+([!-;=-~]{6,256}+)\s{0,8}</(?i:entry|string|prop(?:erty)?|param|item|value|setting)>)",
    _SPACES | among_bytes(">\"'"),
    (BARE, BARE),
)
"""`<password>…</password>`, `<entry key="password">…</entry>`."""
CELL = Form(
    rf"\s{{0,4}}+(?:{TAG}\s{{0,8}}+){{1,4}}+([!-;=-~]{{6,256}}+)\s{{0,8}}</", _SPACES | among_bytes("<"), (_SAID,)
)
"""`<td>密码</td><td>…</td>`."""
ATTRIBUTE = Form(
    r"[\"']?(?:,?\s{1,16}+[\"']?(?i:value)[\"']?\s?[:=]|\s?\{[^{}]{0,200}?\sdefault\s{1,8}=)\s?"
    rf"(?:[\"']([!#-&(-~]{{6,256}})[\"']|(?<=: )((?=[!#-&(-_a-~]){_UNQUOTED}))",
    _SPACES | among_bytes("\"'{"),
    (SECRET, BARE),
)
"""`name="password" value="…"`, in YAML without quotes, `variable "password" { default = "…" }`."""
_OF_SOMETHING = (  # in brackets right after a word of letters it would be an argument
    r"(?:[ \t](?:for|of|on|to)(?:[ \t][\w.@-]{1,32}+){1,4}?|（[^\n]{1,36}?）"
    r"|(?:[ \t]|(?<=[^\x00-\x7f]))\([^()\n]{1,36}+\))"
)
_BEFORE_QUALIFIER = among_bytes(" \t(") | (np.arange(256) == 0xEF)
QUALIFIED = Form(
    rf"{_OF_SOMETHING}(?:{_ASSIGNED}|{_TOLD})",
    _BEFORE_QUALIFIER,
    (*ASSIGNED.judges, *TOLD.judges),
)
"""`password for root: …`, `密码（数据库）：…`."""
_SIGNED_PIN = (
    rf"(?:{_NAME_ENDS}(?:是|为|=>|[:=]|：)|\sis\s)(?:[\s\"']|“|‘|「|『){{0,4}}([0-9]{{4,32}})(?![0-9A-Za-z]|[.][0-9])"
)
PIN = Form(
    rf"{_SIGNED_PIN}|(?:(?:(?<=码)|(?<=碼)|(?<=令))[\s\"']{{0,4}}([0-9]{{4,32}})(?!\s?(?:年|版|位|个|次|条|种|届|款|字))"
    r"|[\s\"']{0,4}([0-9]{6,32}))(?![0-9A-Za-z]|[.][0-9])",
    _AFTER_NAME | among_bytes(":=0123456789"),
    (None, None, None),
    least=4,
)
QUALIFIED_PIN = Form(rf"{_OF_SOMETHING}{_SIGNED_PIN}", _BEFORE_QUALIFIER, least=4)
PIN_CODE = Form(
    rf"(?:(?<=PIN)(?:[ _]?(?:code|number|no\.?)|码)?|(?<=[Pp]in)[ _]?(?:code|number)){_SIGNED_PIN}",
    _AFTER_NAME | among_bytes(":=_cn"),
    least=4,
)
"""`PIN is …`; in small letters pins are of connectors."""
_PART = r"(?:[A-Za-z]++[0-9]{0,8}+|[0-9]{1,8}+[A-Za-z]{0,2}+)(?![A-Za-z0-9])"
_NAMES = rf"{_PART}(?:[-._/]{_PART})++(?![A-Za-z0-9._~+/=-])"
_PARTS = rf"{_PART}(?:[-._/]{_PART})*+(?![A-Za-z0-9._~+/=-])"
_KEY = r"(?=[!-~]{0,4096}?(?:[A-Za-z][0-9]|[0-9][A-Za-z]))[A-Za-z0-9._~+/-]{16,4096}={0,2}"
_RANDOM = r"(?=(?:[A-Za-z_+/-]*+[0-9]++){4})[A-Za-z0-9_+/-]{20,256}+={0,2}"
BEARER = Form(
    rf"\s{{1,4}}+(?:(?:(?<=[:=\"'] [Bb]earer )|(?<=[:=\"'] [Bb]asic ))({_KEY})|(?!{_NAMES})({_KEY}))",
    _SPACES,
    (SECRET, SECRET),
)
"""After the name of a header anything; else what is no name of parts, each a word or a number, as models have."""
HEADER = Form(
    rf"{_NAME_ENDS}[:=]{_OPENS}{{0,4}}[\"']?(?!{_NAMES})({_KEY})(?![A-Za-z0-9._~+/=-]|\s?[A-Za-z0-9,=]|\()",
    _AFTER_NAME | among_bytes(":="),
    (BARE,),
)
"""`Authorization: …` without the name of a scheme."""
_NO_KEYS = "primary foreign sort partition public cache index hash object group unique row idempotency file s3 routing"
_KEYS_OF_DATA = "".join(rf"(?<!(?i:{name})[_-][Kk][Ee][Yy])" for name in _NO_KEYS.split())
NAMED_KEY = Form(
    rf"(?<=[A-Za-z0-9][_-][Kk][Ee][Yy]){_KEYS_OF_DATA}{_NAME_ENDS}(?::=|={{1,2}}|=>|:)[\s\\]{{0,4}}[bBuU]?[\"'](?!{_PARTS})"
    r"(?=[^0-9\"']*+[0-9])([A-Za-z0-9+/_-]{16,256}+={0,2})(?=[\s\"'\\]|\Z)",
    _AFTER_NAME | among_bytes(":="),
    (SECRET,),
)
"""`encryption_key = "…"`, whatever key it is but those of data."""


def _token(least: int, judge: re.Pattern[bytes]) -> re.Pattern[bytes]:
    """`judge`, and besides no word, number or name of a model, as units of text are called tokens, too."""
    return re.compile(rf"(?=[A-Za-z0-9._~+/=:-]{{{least},}})(?!{_PARTS}\Z){judge.pattern.decode()}".encode())


_TOKEN, _LONG_TOKEN = _token(8, BARE), _token(16, SECRET)
"""Without quotes, and in them."""
_PUBLIC = r"(?<!(?i:publickeytoken))"
TOKEN_ASSIGNED = Form(rf"{_PUBLIC}(?={_NAME_ENDS}(?:[=-]|:=|{_TYPED})){_ASSIGNED}", ASSIGNED.begins, ASSIGNED.judges)
"""`token = "…"`."""
TOKEN_NAMED = Form(rf"{_PUBLIC}{_ASSIGNED}", ASSIGNED.begins, (*[_LONG_TOKEN] * 4, *[_TOKEN] * 3))
"""`"token": "…"`."""
TOKEN_ELEMENT = replace(ELEMENT, judges=(_TOKEN, _TOKEN))
KEY_BESIDE = Form(rf"[ \t]{{1,2}}(?!{_NAMES})({_RANDOM})(?![A-Za-z0-9._~+/=()\[-])", _SPACES, (SECRET,))
"""`Token 9944b0…`, `私钥 5Kb8…`."""
SETTER = Form(r"\(\s?(?:\"([!#-~]{6,256})\"|'([!-&(-~]{6,256})')\s?\)", among_bytes("("), (SECRET, SECRET))
"""`.password("…")`."""
_PAIRED = r"[A-Za-z0-9+/]{16,64}+={0,2}(?![A-Za-z0-9_.(\[-])"
_PAIRED_SIGNS = rf"(?:=|:|：){_OPENS}{{0,4}}"
KEY_PAIR = Form(
    rf"(?:(?<=/[SsAa][Kk])\s?{_PAIRED_SIGNS}{_PAIRED}\s{{0,2}}(?:[/,;|]|，|、)\s{{0,2}}({_PAIRED})"
    rf"|(?:\s?/\s?[AaSs][Kk])?{_NAME_ENDS}{_PAIRED_SIGNS}[\"']?({_PAIRED}))",
    _AFTER_NAME | among_bytes(":=/"),
    (SECRET, SECRET),
)
"""`SK=…`, `AK/SK：… / …`."""

SIGNS = among_bytes("0123456789@#$^*!+~?%")
"""Of which every secret has one."""


def is_secret(text: bytes) -> bool:
    return SECRET.match(text) is not None


def is_token(text: bytes) -> bool:
    return _LONG_TOKEN.match(text) is not None


def passwords(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """All that a field of that name holds; of JSON within its string, the strings of an array."""
    found = [(start, end)]
    if _ARRAY.match(text, start, end):
        has_names = b"{" in text[start:end]
        found = [] if has_names else [element.span(1) for element in _ELEMENT.finditer(text, start, end)]
    return ((first, last) for first, last in found if _NO_PASSWORD.match(text, first, last) is None)
