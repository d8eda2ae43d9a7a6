"""Passwords and tokens after the words that announce them, told from code, templates and prose."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.reaches import among_bytes

_INNER = r"(?![\s,;:.+)\]}])"  # a quote before these closes what it is in
_OPENS = r"(?:[\s\\]|“|‘|「|『|【)"
ASSIGNED = re.compile(
    rf"(?:[\s\"'\\\])]|”|’|」){{0,6}}(?::\s?[A-Za-z][\w.\[\]]{{0,31}}\s?=|=>|:=|={{1,3}}|:|：){_OPENS}{{0,4}}"
    rf"(?:[bBuU]?\"{_INNER}(?:([ !#-~]{{6,64}})\"|([!#-~]{{6,256}}))"
    rf"|[bBuU]?'{_INNER}(?:([ -&(-~]{{6,64}})'|([!-&(-~]{{6,256}}))"
    r"|(?P<bare>[!#-&(-_a-~][!#-_a-~]{5,255}))".encode()
)
"""`password = "…"`, `password: str = "…"`, `密码：…`."""
ARGUMENT = re.compile(rb"[\"']\s?,\s?[\"'](?=[!-~]{0,255}?[0-9])([!#-&(-~]{8,256})[\"']\s?(?:\)|,\s?[A-Za-z_]{1,32}=)")
"""`set("token", "…")`."""
_TELLS = (
    r"(?:\s(?:is|was|has|been|now|set|reset|changed|to)\b|了|已|被|都|还|仍|均|修改|更改|重置|设置|设定|改|设|换|变|是|为|為|成){1,5}"
    rf"(?::|：)?(?:{_OPENS}|[\"'(]|（){{0,4}}"
)
TOLD = re.compile(rf"{_TELLS}(?P<said>[!#-&(-_a-~][!#-_a-~]{{5,63}})".encode())
"""`the password is …`, `密码改成…`."""
KEY_TOLD = re.compile(rf"{_TELLS}(?P<said>[!#-&(-_a-~][!#-_a-~]{{11,255}})".encode())
"""`your API key is …`: shorter words there are mostly of models."""
BESIDE = re.compile(
    r"(?:(?<=[^\x00-\x7f])[ \t]{0,2}(?:[(\"']|（|【|“|‘|「|『)?(?P<said>[A-Za-z0-9!@#$%^&*+~?_.-]{6,64})"
    r"|[ \t]{1,2}[(\"']?([A-Za-z0-9!@#$%^&*+~?]{6,64}))(?![=:_/\\(\[-]|\.[A-Za-z0-9])".encode()
)
"""`密码 …`, `--password …`."""
PIN = re.compile(
    r"(?:(?:[\s\"'\\\])]|”|’|」){0,4}(?:是|为|=>|[:=]|：|\sis\s)(?:[\s\"']|“|‘|「|『){0,4}([0-9]{4,32})"
    r"|(?:(?<=码)|(?<=碼)|(?<=令))[\s\"']{0,4}([0-9]{4,32})(?!\s?(?:年|版|位|个|次|条|种|届|款|字))"
    r"|[\s\"']{0,4}([0-9]{6,32}))(?![0-9A-Za-z]|[.][0-9])".encode()
)
BEARER = re.compile(rb"\s{1,4}((?=[!-~]{0,4096}?(?:[A-Za-z][0-9]|[0-9][A-Za-z]))[A-Za-z0-9._~+/-]{16,4096}={0,2})")

_SPACE, _CLOSING = " \t\n\r\f\v", "\"'\\])"
_OTHERS = np.arange(256) >= 0x80
FIRST = {
    ASSIGNED: among_bytes(_SPACE + _CLOSING + ":=") | _OTHERS,
    ARGUMENT: among_bytes("\"'"),
    TOLD: among_bytes(_SPACE) | _OTHERS,
    KEY_TOLD: among_bytes(_SPACE) | _OTHERS,
    BESIDE: among_bytes(_SPACE),
    PIN: among_bytes(_SPACE + _CLOSING + ":=0123456789") | _OTHERS,
    BEARER: among_bytes(_SPACE),
}
"""The bytes that each can begin with; `BESIDE` with any after a word that is not of letters."""
SIGNS = among_bytes("0123456789@#$^*!+~?%")
"""Of which every secret has one."""
_LETTER, _SIGN = re.compile(rb"[A-Za-z]"), re.compile(rb"[0-9@#$^*!+~?%]")
_SIGN_WITHIN = re.compile(rb"[0-9]|[@#$^*!+~?%][A-Za-z]")
_TEMPLATE = re.compile(
    rb"[$#%@]?\{|[$%]\(|\$[A-Za-z_]+(?![A-Za-z0-9_])|%[a-z](?![A-Za-z0-9])|[@:&*!]{1,2}[A-Za-z_.']+[;,)]*\Z"
    rb"|<[^>]{0,256}>|&(?:#x3[Cc]|lt);|\[[A-Za-z_ |]{1,64}\]\Z|(?:~|\.{1,2})?(?:/[a-z0-9_.-]{1,64}){2,64}\Z"
)
"""What a program puts the value in the place of, and the tokens of models: `${…}`, `<…>`, `[MASK]`, `:name`, paths."""
_EXPRESSION = re.compile(
    rb"[A-Za-z_](?:\w|[.?]|::|->){0,255}[(\[<{]|[rRfF]{1,2}'"
    rb"|[A-Za-z_]{1,64}[0-9]{0,2}(?:(?:\??\.|->|::)[A-Za-z_]{1,64}[0-9]{0,2}){1,32}[;,)]*\Z"
)
"""Of code: calls, items, types of types, patterns, dotted names."""
_NAME = re.compile(
    rb"(?:(?:u?int|float|complex|sha|aes|rsa|hmac-sha|base)[-_]?(?:8|16|32|58|64|85|128|192|224|256|384|512|1024|2048)"
    rb"(?:_t)?|pbkdf2)(?![0-9A-Za-z:$])",
    re.IGNORECASE,
)
"""Numeric types, and ways to hash and to encode."""


def is_secret(text: bytes, *, bare: bool = False, said: bool = False) -> bool:
    """Letters together with digits or signs, and nothing of a program; words of letters alone may be any.

    `bare`: it stands without quotes. `said`: in a sentence, where a sign at the end is the sentence's.
    """
    if not ((_SIGN_WITHIN if said else _SIGN).search(text) and _LETTER.search(text)):
        return False
    return not (
        is_template(text) or _NAME.match(text) or (bare and _EXPRESSION.match(text)) or text.startswith(b"http")
    )


def is_template(text: bytes) -> bool:
    return _TEMPLATE.match(text) is not None
