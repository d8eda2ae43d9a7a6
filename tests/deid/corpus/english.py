"""The English set: `generated_large` of microsoft/presidio-research (MIT), from a file that the caller names."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.deid.corpus import Sample, Truth

NAMES = {
    "EMAIL": "EMAIL_ADDRESS",
    "IBAN": "IBAN_CODE",
    "IPV4": "IP_ADDRESS",
    "IPV6": "IP_ADDRESS",
    "DATE": "DATE_TIME",
    "URL": "DOMAIN_NAME",
    "US_PHONE": "PHONE_NUMBER",
    "PHONE": "PHONE_NUMBER",
}
"""What the set calls our types."""

WANTED = ("EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "US_SSN", "CREDIT_CARD")
OTHERS = ("PHONE_NUMBER", "DATE_TIME", "DOMAIN_NAME", "PERSON", "ADDRESS")


class _Span(msgspec.Struct):
    entity_type: str
    start_position: int
    end_position: int


class _Record(msgspec.Struct):
    full_text: str
    spans: list[_Span]


def corpus(path: Path) -> list[Sample]:
    records = msgspec.json.decode(path.read_bytes(), type=list[_Record])
    return [
        Sample(
            record.full_text,
            tuple(Truth(span.entity_type, span.start_position, span.end_position) for span in record.spans),
        )
        for record in records
    ]
