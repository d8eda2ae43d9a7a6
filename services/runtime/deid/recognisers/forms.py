"""Which codes values begin with: those given out or, where pseudonyms are looked for, those that are never."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.checksums import USCC_ALPHABET
from services.runtime.deid.policies import Policy
from services.runtime.deid.pseudonyms import plans
from services.runtime.deid.recognisers.ibans import IBAN_LENGTHS, NEVER_COUNTRIES

Codes = NDArray[np.int64]


class Forms(NamedTuple):
    """Ascending codes, or letters, of each type."""

    provinces: Codes
    mobile: Codes
    trunk: int
    bank_issuers: Codes
    credit_issuers: Codes
    devices: Codes
    departments: str
    passport_letters: str
    permit_letters: str
    plate_provinces: str
    ibans: dict[str, int]


def originals() -> Forms:
    return Forms(
        provinces=np.array(plans.PROVINCES),
        mobile=np.array(plans.MOBILE),
        trunk=0,
        bank_issuers=np.array(plans.ISSUERS),
        credit_issuers=np.array(plans.ISSUERS),
        devices=np.array(plans.TYPE_ALLOCATION),
        departments=plans.DEPARTMENTS,
        passport_letters=plans.PASSPORT_LETTERS,
        permit_letters=plans.PERMIT_LETTERS,
        plate_provinces=plans.PLATE_PROVINCES,
        ibans=IBAN_LENGTHS,
    )


def pseudonyms(policy: Policy) -> Forms:
    """Of what the policy puts in the place of originals."""
    given = originals()

    def codes(kind: str, original: Codes, pattern: str) -> Codes:
        output, plan = policy.output_of(kind), plans.plan(kind, pattern)
        assert plan is not None
        if output == "valid":
            return original
        spared = plan.spare if output == "invalid" else plan.fields[0].never
        assert spared is not None
        return spared

    def issued(kind: str) -> bool:
        return policy.output_of(kind) == "valid"

    departments = codes("CN_USCC", np.zeros(0, dtype=np.int64), "9" * 18)
    return Forms(
        provinces=codes("CN_ID", given.provinces, "9" * 18),
        mobile=codes("CN_PHONE", given.mobile, "9" * 11),
        trunk=0 if issued("CN_LANDLINE") else 9,
        bank_issuers=codes("BANK_CARD", given.bank_issuers, "9" * 16),
        credit_issuers=codes("CREDIT_CARD", given.credit_issuers, "9" * 16),
        devices=codes("IMEI", given.devices, "9" * 15),
        departments="".join(USCC_ALPHABET[code] for code in departments.tolist()) or given.departments,
        passport_letters=given.passport_letters if issued("PASSPORT") else plans.NEVER_PASSPORT_LETTERS,
        permit_letters=given.permit_letters if issued("HK_MO_PERMIT") else plans.NEVER_PERMIT_LETTERS,
        plate_provinces=given.plate_provinces if issued("CN_PLATE") else plans.NEVER_PLATE_PROVINCES,
        ibans=IBAN_LENGTHS
        if issued("IBAN")
        else {NEVER_COUNTRIES[country]: length for country, length in IBAN_LENGTHS.items()},
    )
