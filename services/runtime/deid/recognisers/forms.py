"""Which codes values begin with: those given out or, where pseudonyms are looked for, those that are never."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Flags
from services.runtime.deid.checksums import USCC_ALPHABET
from services.runtime.deid.policies import Policy
from services.runtime.deid.pseudonyms import plans
from services.runtime.deid.recognisers.ibans import IBAN_LENGTHS, NEVER_COUNTRIES

Codes = NDArray[np.int64]
_UNION_PAY = "U" + "9" * 15


class Forms(NamedTuple):
    """Of each type the letters, or by the number that its first digits make whether it is one of the codes."""

    provinces: Flags
    mobile: Flags
    trunk: int
    bank_issuers: Flags
    short_issuers: Flags
    union_pay: Flags
    credit_issuers: Flags
    devices: Flags
    departments: str
    passport_letters: str
    permit_letters: str
    plate_provinces: str
    ibans: dict[str, int]


def _table(codes: Sequence[int] | Codes) -> Flags:
    table = np.zeros(100, dtype=np.bool_)
    table[np.asarray(codes)] = True
    return table


def originals() -> Forms:
    issuers = _table((*plans.ISSUERS, *plans.UNION_PAY))
    return Forms(
        provinces=_table(plans.PROVINCES),
        mobile=_table(plans.MOBILE),
        trunk=0,
        bank_issuers=issuers,
        short_issuers=_table(plans.SHORT_ISSUERS),
        union_pay=_table(plans.UNION_PAY),
        credit_issuers=issuers,
        devices=_table(plans.TYPE_ALLOCATION),
        departments=plans.DEPARTMENTS,
        passport_letters=plans.PASSPORT_LETTERS,
        permit_letters=plans.PERMIT_LETTERS,
        plate_provinces=plans.PLATE_PROVINCES,
        ibans=IBAN_LENGTHS,
    )


def pseudonyms(policy: Policy) -> Forms:
    """Of what the policy puts in the place of originals."""
    given = originals()

    def spared(kind: str, pattern: str) -> Codes | None:
        """The first codes of what is never issued; None where the policy's pseudonyms are like originals."""
        output, plan = policy.output_of(kind), plans.plan(kind, pattern)
        assert plan is not None
        if output == "valid":
            return None
        codes = plan.spare if output == "invalid" else plan.fields[0].never
        assert codes is not None
        return codes

    def table(kind: str, original: Flags, pattern: str) -> Flags:
        codes = spared(kind, pattern)
        return original if codes is None else _table(codes)

    def issued(kind: str) -> bool:
        return policy.output_of(kind) == "valid"

    departments = spared("CN_USCC", "9" * 18)
    union_pay = table("BANK_CARD", given.union_pay, _UNION_PAY)
    banks = table("BANK_CARD", given.bank_issuers, "9" * 16) | union_pay
    return Forms(
        provinces=table("CN_ID", given.provinces, "9" * 18),
        mobile=table("CN_PHONE", given.mobile, "9" * 11),
        trunk=0 if issued("CN_LANDLINE") else 9,
        bank_issuers=banks,
        short_issuers=banks,
        union_pay=union_pay,
        credit_issuers=table("CREDIT_CARD", given.credit_issuers, "9" * 16)
        | table("CREDIT_CARD", given.union_pay, _UNION_PAY),
        devices=table("IMEI", given.devices, "9" * 15),
        departments=given.departments
        if departments is None
        else "".join(USCC_ALPHABET[code] for code in departments.tolist()),
        passport_letters=given.passport_letters if issued("PASSPORT") else plans.NEVER_PASSPORT_LETTERS,
        permit_letters=given.permit_letters if issued("HK_MO_PERMIT") else plans.NEVER_PERMIT_LETTERS,
        plate_provinces=given.plate_provinces if issued("CN_PLATE") else plans.NEVER_PLATE_PROVINCES,
        ibans=IBAN_LENGTHS
        if issued("IBAN")
        else {NEVER_COUNTRIES[country]: length for country, length in IBAN_LENGTHS.items()},
    )
