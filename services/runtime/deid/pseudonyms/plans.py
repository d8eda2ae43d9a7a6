"""Numbering plans: of which fields the values of a type consist, which codes are given out, and which never are.

Sources: GB/T 2260 (provinces of resident IDs), GB 32100-2015 (USCC), ISO/IEC 7812 (cards), the mobile numbering plan
of the MIIT, GSMA TS.06 (IMEI), the Social Security Administration's rules since 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid import calendar, checksums, spellings
from services.runtime.deid.checksums import USCC_ALPHABET, Expected

Codes = NDArray[np.int64]

PROVINCES = (
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
    64, 65, 71, 81, 82, 83,
)  # fmt: skip
MOBILE = tuple(range(13, 20))
NEVER_MOBILE = (11, 12, 21, 22, 23, 24, 25)
UNION_PAY: Final[Sequence[int]] = (62,)
NEVER_UNION_PAY: Final[Sequence[int]] = (92, 93)
ISSUERS = tuple(code for code in (*range(22, 28), *range(30, 70)) if code not in UNION_PAY)
"""All others that cards in use begin with."""
NEVER_ISSUERS = tuple(code for code in (*range(20), *range(70, 100)) if code not in NEVER_UNION_PAY)
SHORT_ISSUERS = tuple(range(30, 40))
"""Of cards with fewer than sixteen digits: American Express and Diners Club."""
TYPE_ALLOCATION = (1, 10, 30, 33, 35, 44, 45, 49, 50, 51, 52, 53, 54, 86, 91, 98, 99)
NEVER_ALLOCATED = tuple(range(60, 77))
DEPARTMENTS = "123456789ANY"
KINDS = (
    11, 12, 13, 19, 21, 29, 31, 32, 33, 34, 35, 39, 41, 49, 51, 52, 53, 59, 61, 62, 69, 71, 72, 79, 81, 89, 91, 92, 93,
)  # fmt: skip
"""Of organisations, by a department that is a digit and the kind."""
NEVER_DEPARTMENTS = "0HJKLMPQRTUWX"
PASSPORT_LETTERS = "DEGKPS"
NEVER_PASSPORT_LETTERS = "QRUVXY"
FOREIGN_PASSPORT_LETTERS = "ABCFHIJLMNOTWZ"
"""All others, with which passports of other countries begin."""
PERMIT_LETTERS = "CHLMTW"
NEVER_PERMIT_LETTERS = "ABFINO"
PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
PLATE_PROVINCES = "".join(("京津渝冀豫黑湘皖新浙鄂桂甘蒙吉青藏川", *spellings.PROVINCES, *spellings.PROVINCES.values()))
NEVER_PLATE_PROVINCES = "甲乙丁戊己壬癸子寅辰午未申戌天宇宙洪闰岁吕腾丽冈剑阙阳鳞潜龙鸟閏歲呂騰麗岡劍闕陽鱗潛龍鳥"
"""In the place of each; of one that has two spellings the same character in its two spellings."""
PLATE_DOTS = ("·", "•", "・", "‧", "∙", "⋅")
PLATE_SIGNS = (*PLATE_DOTS, " ", "\u3000", "-", ".", "—")
"""That people write between the parts of a plate."""

SSN_PARTS: Final[Sequence[tuple[int, Sequence[int]]]] = ((3, (0, 666, *range(900, 1000))), (2, (0,)), (4, (0,)))
"""Digits of each part of an SSN, area, group and serial, and what of them is never issued."""
SERVICES = (400, 800)
"""Numbers that begin like these are of no area; their pseudonyms do, too."""
_OF_THE_1900S: Codes = calendar.BIRTHDAYS[calendar.BIRTHDAYS < 20_000_000] - 19_000_000
KEY_PREFIXES = {
    "sk-": r"[A-Za-z0-9_-]{16}", "AKIA": "[A-Z0-9]{16}", "ASIA": "[A-Z0-9]{16}", "ghp_": "[A-Za-z0-9]{20}",
    "gho_": "[A-Za-z0-9]{20}", "ghu_": "[A-Za-z0-9]{20}", "ghs_": "[A-Za-z0-9]{20}", "ghr_": "[A-Za-z0-9]{20}",
    "github_pat_": "[A-Za-z0-9_]{20}", "glpat-": "[A-Za-z0-9_-]{16}", "xoxa-": "[A-Za-z0-9-]{10}",
    "xoxb-": "[A-Za-z0-9-]{10}", "xoxp-": "[A-Za-z0-9-]{10}", "xoxr-": "[A-Za-z0-9-]{10}",
    "xoxs-": "[A-Za-z0-9-]{10}", "AIza": "[A-Za-z0-9_-]{30}", "LTAI": "[A-Za-z0-9]{12}", "AKID": "[A-Za-z0-9]{16}",
    "AKLT": "[A-Za-z0-9]{16}", "hf_": "[A-Za-z0-9]{20}", "npm_": "[A-Za-z0-9]{30}", "gsk_": "[A-Za-z0-9]{20}",
    "sk_live_": "[A-Za-z0-9]{10}", "sk_test_": "[A-Za-z0-9]{10}", "rk_live_": "[A-Za-z0-9]{10}",
    "pypi-": "[A-Za-z0-9_-]{30}", "eyJ": "[A-Za-z0-9_-]{10}", "SG.": "[A-Za-z0-9_-]{16}",
    "ya29.": "[A-Za-z0-9_-]{16}", "dop_v1_": "[A-Za-z0-9]{20}", "whsec_": "[A-Za-z0-9+/]{20}",
    "xapp-": "[A-Za-z0-9-]{10}", "bce-v3/ALTAK-": "[A-Za-z0-9]{10}", "GOCSPX-": "[A-Za-z0-9_-]{20}",
    "dckr_pat_": "[A-Za-z0-9_-]{20}", "shpat_": "[A-Za-z0-9]{20}", "hvs.": "[A-Za-z0-9_-]{20}",
    "ATATT3": "[A-Za-z0-9_-]{20}", "nvapi-": "[A-Za-z0-9_-]{30}", "pplx-": "[A-Za-z0-9]{30}",
    "tvly-": "[A-Za-z0-9-]{20}", "glsa_": "[A-Za-z0-9]{20}", "NRAK-": "[A-Z0-9]{20}",
    "AGE-SECRET-KEY-1": "[A-Z0-9]{30}", "xai-": "[A-Za-z0-9]{30}", "r8_": "[A-Za-z0-9]{30}",
}  # fmt: skip
"""What keys of services begin with, which pseudonyms keep, and what follows at least."""

NOBODYS_NETWORKS = (0, 127, 255)
"""First numbers of IPv4 addresses: this network, this machine, and masks."""


class Field:
    """`width` characters: the codes (numbers in the plan's radix) that are given out, and as many that never are."""

    def __init__(self, width: int, given: Codes, never: Codes | None = None) -> None:
        self.width, self.given, self.never = width, np.sort(given), None if never is None else np.sort(never)


class Plan:
    """Fields in their order, and the check character after them, if any.

    `spare`: codes of the first field, never given out, for values made invalid; there the check is wrong besides.
    """

    def __init__(
        self, fields: Sequence[Field], radix: int = 10, check: tuple[Expected, int] | None = None, spare: Any = None
    ) -> None:
        self.fields, self.radix, self.check = tuple(fields), radix, check
        self.spare = None if spare is None else np.sort(np.array(spare, dtype=np.int64))


def free(width: int, radix: int = 10) -> list[Field]:
    """Fields without a rule, each of as many characters as fit a table."""
    step = 4 if radix == 10 else 2
    widths = [step] * (width // step) + ([width % step] if width % step else [])
    return [Field(w, np.arange(radix**w, dtype=np.int64)) for w in widths]


def only(width: int, given: Sequence[int], never: Sequence[int] | None = None) -> Field:
    return Field(width, np.array(given, dtype=np.int64), None if never is None else np.array(never, dtype=np.int64))


@cache
def plan(kind: str, pattern: str) -> Plan | None:
    """The plan of a type's values of one pattern: a sign for each character, `9` digit, `A` letter; or None.

    A passport's begins with `F` where its first letter is of none of China's, nor of their pseudonyms.

    A card's begins with `U` where it is of UnionPay, which tells more of it than other codes do.

    A phone's of ten digits begins with what `phone_lead` says of it.

    An SSN's has `U` in the place of its first part that is never issued, as those of an ITIN are.

    A landline's pattern ends with `B` where its area code has two digits after the 0.
    """
    n = len(pattern)
    digits = set(pattern) <= {"9"}
    match kind:
        case "CN_ID" if n == 18:
            unused = [code for code in range(100) if code not in PROVINCES]
            fields = [
                only(2, PROVINCES, unused[: len(PROVINCES)]),
                *free(4),
                Field(8, calendar.BIRTHDAYS),
            ]
            return Plan([*fields, *free(3)], check=(checksums.resident_id, 11), spare=unused)
        case "CN_ID" if n == 15 and digits:
            unused = [code for code in range(100) if code not in PROVINCES]
            fields = [
                only(2, PROVINCES, unused[: len(PROVINCES)]),
                *free(4),
                Field(6, _OF_THE_1900S),
            ]
            return Plan([*fields, *free(3)])
        case "BANK_CARD" | "CREDIT_CARD" if 12 <= n <= 19:
            if pattern.startswith("U"):
                first, spare = only(2, UNION_PAY, NEVER_UNION_PAY[:1]), NEVER_UNION_PAY
            else:
                first, spare = only(2, ISSUERS, NEVER_ISSUERS[: len(ISSUERS)]), (*NEVER_ISSUERS, 20, 21, 28, 29)
            return Plan([first, *free(n - 3)], check=(checksums.luhn, 10), spare=spare)
        case "IMEI" if digits and n == 15:
            fields = [only(2, TYPE_ALLOCATION, NEVER_ALLOCATED), *free(12)]
            return Plan(fields, check=(checksums.luhn, 10), spare=(*NEVER_ALLOCATED, 77, 78))
        case "CN_PHONE" if digits and n == 11:
            return Plan([only(2, MOBILE, NEVER_MOBILE), *free(9)])
        case "CN_LANDLINE" if 10 <= n <= 12:
            area = (
                only(2, (10, *range(20, 30)))
                if pattern.endswith("B")
                else only(3, [code for code in range(300, 1000) if code not in SERVICES])
            )
            return Plan([only(1, (0,), (9,)), area, only(1, range(2, 9)), *free(n - area.width - 2)])
        case "PHONE" if n == 10:
            leads = phone_lead(np.arange(10_000))
            return Plan([Field(4, np.flatnonzero(leads == int(pattern[0]))), *free(6)])
        case "US_SSN" if n == 9:
            return _ssn(pattern)
        case "US_PHONE" if digits and n == 10:
            return Plan([only(1, range(2, 10)), *free(2), only(1, range(2, 10)), *free(6)])
        case "QQ" if digits and 5 <= n <= 11:
            return Plan([only(1, range(1, 10)), *free(n - 1)])
        case "CN_USCC" if n == 18:
            given = [USCC_ALPHABET.index(letter) for letter in DEPARTMENTS]
            never = [USCC_ALPHABET.index(letter) for letter in NEVER_DEPARTMENTS]
            region = [only(1, range(10)) for _ in range(6)]
            fields = [only(1, given, never[: len(given)]), *free(1, 31), *region, *free(9, 31)]
            return Plan(fields, radix=31, check=(checksums.uscc, 31), spare=never)
        case "PASSPORT" if pattern.startswith("F"):
            first = only(1, [int(letter, 36) for letter in FOREIGN_PASSPORT_LETTERS])
            return Plan([first, *map(_sign, pattern[1:])], radix=36)
        case "PASSPORT":
            return _lettered(pattern, PASSPORT_LETTERS, NEVER_PASSPORT_LETTERS)
        case "HK_MO_PERMIT":
            return _lettered(pattern, PERMIT_LETTERS, NEVER_PERMIT_LETTERS)
        case _:
            return None


def octets(widths: tuple[int, ...]) -> Plan:
    """Of an IPv4 address whose numbers have these widths."""
    given = {1: range(10), 2: range(10, 100), 3: range(100, 256)}
    first = [number for number in given[widths[0]] if number not in NOBODYS_NETWORKS]
    return Plan([only(widths[0], first), *(only(width, given[width]) for width in widths[1:])])


def phone_lead(codes: NDArray[Any]) -> NDArray[np.uint8]:
    """What the first four digits of phones say: that it is of a service, of North America's form, dialled abroad.

    Pseudonyms say the same, as each of these is read as something else than other phones are.
    """
    service, dialled = np.isin(codes // 10, SERVICES), codes < 100
    american = (codes >= 2000) & (codes % 10 > 1)
    lead: NDArray[np.uint8] = np.packbits(np.stack([service, american, dialled]), axis=0, bitorder="little")[0]
    return lead


def ssn_part_unissued(rows: NDArray[np.uint8]) -> Codes:
    """Of N x 9 digits the number of the first part of SSN_PARTS that is never issued, or how many parts there are."""
    found, at = np.full(len(rows), len(SSN_PARTS)), 0
    for part, (width, never) in enumerate(SSN_PARTS):
        value = rows[:, at : at + width] @ 10 ** np.arange(width - 1, -1, -1)
        found[(found == len(SSN_PARTS)) & np.isin(value, never)] = part
        at += width
    return found


def _ssn(pattern: str) -> Plan:
    fields, at = list[Field](), 0
    for width, never in SSN_PARTS:
        every = range(10**width)
        if "U" in pattern[:at]:
            codes = list(every)
        else:
            codes = list(never) if pattern[at] == "U" else sorted({*every} - {*never})
        fields.append(only(width, codes))
        at += width
    return Plan(fields)


def _lettered(pattern: str, given: str, never: str) -> Plan | None:
    """A letter of the plan, at times another letter (without I and O), then digits, or letters among them; radix 36."""
    if not pattern.startswith("A") or "9" not in pattern:
        return None
    fields = [only(1, [int(letter, 36) for letter in given], [int(letter, 36) for letter in never])]
    if pattern.startswith("AA9"):
        fields.append(only(1, [int(letter, 36) for letter in PLATE_LETTERS]))
    return Plan([*fields, *map(_sign, pattern[len(fields) :])], radix=36)


def _sign(sign: str) -> Field:
    """Of a pattern in radix 36."""
    return only(1, range(10, 36) if sign == "A" else range(10))
