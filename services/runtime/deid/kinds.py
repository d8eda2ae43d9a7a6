"""The types that are recognised, in the order in which they win where nothing else decides between two."""

from __future__ import annotations

from typing import Final

TYPES: Final = (
    "API_KEY",
    "URL",
    "EMAIL",
    "CN_ID",
    "CN_USCC",
    "BANK_CARD",
    "CREDIT_CARD",
    "IBAN",
    "IMEI",
    "CN_PHONE",
    "CN_LANDLINE",
    "US_PHONE",
    "PHONE",
    "US_SSN",
    "HK_MO_PERMIT",
    "TW_PERMIT",
    "PASSPORT",
    "CN_PLATE",
    "IPV6",
    "MAC",
    "IPV4",
    "DATE",
    "WECHAT",
    "QQ",
    "ADDRESS",
    "PERSON",
    "NUMBER",
)

UNISSUABLE: Final = frozenset(
    {
        "CN_ID", "CN_USCC", "BANK_CARD", "CREDIT_CARD", "IBAN", "IMEI", "CN_PHONE", "CN_LANDLINE", "HK_MO_PERMIT",
        "PASSPORT", "CN_PLATE",
    }
)  # fmt: skip
"""Types whose numbering plan leaves room for as many values that nobody can be given as it has values at all."""

CHECKED: Final = frozenset({"CN_ID", "CN_USCC", "BANK_CARD", "CREDIT_CARD", "IBAN", "IMEI"})
"""Types with a checksum, so that a pseudonym can be invalid by it."""
