"""What speaks against a type right before a candidate: `订单号`, `version`, `==`, the product that a version is of."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from services.runtime.deid.buffers import Buffer, Flags, Offsets
from services.runtime.deid.recognisers.words import BITS, Words
from services.runtime.deid.spans import Spans

AGAINST = {
    "CN_PHONE": 0.1, "BANK_CARD": 0.25, "CREDIT_CARD": 0.1, "CN_LANDLINE": 0.25, "IMEI": 0.3, "IPV4": 0.5,
    "CN_ID": 0.1, "US_PHONE": 0.25, "US_SSN": 0.3, "QQ": 0.3, "DATE": 0.5,
}  # fmt: skip
"""What it takes from a score."""
CLASSES = ("other", "version", "product")
_BITS = sum(BITS[name] for name in CLASSES)
_SIGNS = np.isin(np.arange(256), list(b"=/vV"))
_FARTHEST = 40
_SIGNED = re.compile(rb"(?:[=~<>!]=|(?<![A-Za-z])[vV]|(?<![A-Za-z0-9./-])[A-Z][A-Za-z0-9_-]{1,32}/)\Z")
"""Of a requirement, or a product as in `Chrome/120.0.0.0`."""
_SHORT_NUMBERS = re.compile(rb"[0-9]{1,2}(?:\.[0-9]{1,2}){3}")
_PORT = re.compile(rb":[0-9]")


def against(names: Sequence[str], spans: Spans, near: Offsets, area: Offsets, words: Words, buffer: Buffer) -> Flags:
    """Of which candidates; `near` are the classes of words around them, `area` the numbers of their areas."""
    versioned = np.isin(spans.kinds, [names.index(kind) for kind in ("IPV4", "DATE")])
    before = buffer.bytes[np.maximum(spans.starts - 1, 0)]
    found = ((near & _BITS) > 0) | (versioned & _SIGNS[before])
    for index in np.flatnonzero(found).tolist():
        start, end, of = int(spans.starts[index]), int(spans.ends[index]), int(area[index])
        kind, value = names[spans.kinds[index]], buffer.bytes[start:end].tobytes()
        if versioned[index] and _signed(buffer, start, end, of):
            continue
        if kind == "DATE":
            classes: tuple[str, ...] = ("version", "product") if value[:1].isdigit() and b"." in value else ()
        elif kind == "IPV4":
            classes = CLASSES if _SHORT_NUMBERS.fullmatch(value) else ("other",)
        else:
            classes = ("other",)
        found[index] = any(words.right_before(name, start, buffer, of) for name in classes)
    return found


def _signed(buffer: Buffer, start: int, end: int, area: int) -> bool:
    floor = max(int(buffer.areas.starts[area]), start - _FARTHEST)
    before, after = buffer.bytes[floor:start].tobytes(), buffer.bytes[end : end + 2].tobytes()
    return _SIGNED.search(before) is not None and not _PORT.match(after)
