"""What speaks against a type right before a candidate: `订单号`, `version`, `==`, the product that a version is of."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from services.runtime.deid.buffers import Buffer, Bytes, Flags, Offsets
from services.runtime.deid.reaches import is_digit, windows
from services.runtime.deid.recognisers.phones import after_bracket
from services.runtime.deid.recognisers.vocabulary import BITS
from services.runtime.deid.recognisers.words import Words
from services.runtime.deid.spans import Spans

AGAINST = {
    "CN_PHONE": 0.1, "BANK_CARD": 0.25, "CREDIT_CARD": 0.1, "CN_LANDLINE": 0.25, "IMEI": 0.3, "IPV4": 0.5,
    "CN_ID": 0.1, "US_PHONE": 0.25, "US_SSN": 0.3, "QQ": 0.3, "DATE": 0.5, "PASSPORT": 0.4, "HK_MO_PERMIT": 0.4,
    "TW_PERMIT": 0.5,
}  # fmt: skip
"""What it takes from a score."""
_DOCUMENTS = ("PASSPORT", "HK_MO_PERMIT", "TW_PERMIT")
"""Which have numbers that are called `编号`, too."""
_OF_VERSIONS = BITS["version"] | BITS["product"]
_BITS = _OF_VERSIONS | BITS["other"]
_LONGEST_YEAR = 4
_MOST_OF_AMOUNTS = 6
"""Digits of a QQ number that may as well be an amount, and needs its word right before it."""
_SIGNS, _SIGNS_AFTER = np.isin(np.arange(256), list(b"=/vV")), np.isin(np.arange(256), list(b"-+~"))
_FARTHEST = 40
_SIGNED = re.compile(rb"(?:[=~<>!]=|(?<![A-Za-z])[vV]|(?<![A-Za-z0-9./-])[A-Z][A-Za-z0-9_-]{1,32}/)\Z")
"""Of a requirement, or a product as in `Chrome/120.0.0.0`."""
_RELEASED = re.compile(rb"-[0-9]{1,3}(?:[+~]|ubuntu|build|deb|\.el[0-9])|[+~][A-Za-z]")
"""After a version the release of a package, as no range of addresses goes on."""
_CALLED_VERSION = re.compile("(?:version|版本)[\"']?\\s?(?:[:=]|：)\\s?[\"']?\\Z".encode(), re.IGNORECASE)
_SHORT_NUMBERS = re.compile(rb"[0-9]{1,2}(?:\.[0-9]{1,2}){3}")
_LONGEST_SHORT = len("99.99.99.99")
_PORT = re.compile(rb":[0-9]")


def against(
    names: Sequence[str], spans: Spans, near: Offsets, own: Offsets, area: Offsets, words: Words, buffer: Buffer
) -> Flags:
    """Of which candidates; `near` are the classes of words around them, `own` those without which each would be of
    no type, `area` the numbers of their areas.
    """
    dates, addresses = (spans.kinds == names.index(kind) for kind in ("DATE", "IPV4"))
    classes = np.full(len(spans), BITS["other"], dtype=np.int64)
    documents = np.isin(spans.kinds, [names.index(kind) for kind in _DOCUMENTS])
    classes[spans.kinds == names.index("BANK_CARD")] |= BITS["id"]
    classes[dates | documents | after_bracket(buffer.bytes, spans.starts)] = 0
    classes[_short_addresses(buffer.bytes, spans, np.flatnonzero(addresses & ((near & _BITS) > 0)))] = _BITS
    dotted = np.flatnonzero(dates & ((near & _OF_VERSIONS) > 0))
    if len(dotted):
        classes[dotted[_is_dotted(buffer.bytes, spans.starts[dotted])]] = _OF_VERSIONS
    found = words.right_before(classes & near, spans.starts, buffer, area)
    called = np.where((own > 0) & ((near & BITS["birth"]) == 0), BITS["date"], 0)
    called = np.where(dates, np.where(_short_years(buffer, spans), BITS["birth"], called), 0)
    called[(spans.kinds == names.index("QQ")) & (spans.ends - spans.starts <= _MOST_OF_AMOUNTS)] = (
        BITS["qq"] | BITS["wechat"]
    )
    found |= (called > 0) & ~words.right_before(called, spans.starts, buffer, area)
    found |= words.called_otherwise(own & near, spans.starts, buffer, area)
    before = buffer.bytes[np.maximum(spans.starts - 1, 0)]
    for index in np.flatnonzero((dates | addresses) & _SIGNS[before]).tolist():
        if _signed(buffer, int(spans.starts[index]), int(spans.ends[index]), int(area[index])):
            found[index] = True
    after = buffer.bytes[np.minimum(spans.ends, len(buffer.bytes) - 1)]
    for index in np.flatnonzero(addresses & _SIGNS_AFTER[after]).tolist():
        if _RELEASED.match(buffer.text, int(spans.ends[index]), int(buffer.areas.ends[area[index]])):
            found[index] = True
    for index in np.flatnonzero(dates & ((near & BITS["version"]) > 0) & ~found).tolist():
        found[index] = _is_version(buffer, int(spans.starts[index]), int(area[index]))
    return found


def _is_version(buffer: Buffer, start: int, area: int) -> bool:
    """Whether a day is the value of what is called a version, in the text or as a field."""
    name_start, name_end, floor = (
        int(column[area]) for column in (buffer.areas.name_starts, buffer.areas.name_ends, buffer.areas.starts)
    )
    if floor == start and name_end > name_start:
        return buffer.bytes[name_start:name_end].tobytes().lower().endswith((b"version", "版本".encode()))
    return _CALLED_VERSION.search(buffer.bytes[max(floor, start - _FARTHEST) : start].tobytes()) is not None


def _short_addresses(content: Bytes, spans: Spans, chosen: Offsets) -> Offsets:
    """Those of two digits at most in each part."""
    chosen = chosen[spans.ends[chosen] - spans.starts[chosen] <= _LONGEST_SHORT]
    places = zip(spans.starts[chosen].tolist(), spans.ends[chosen].tolist(), strict=True)
    short = [_SHORT_NUMBERS.fullmatch(content[start:end].tobytes()) is not None for start, end in places]
    return chosen[np.array(short, dtype=np.bool_)]


def _short_years(buffer: Buffer, spans: Spans) -> Flags:
    """Dates of digits whose year has only two of them."""
    runs = buffer.runs
    if not len(runs.starts):
        return np.zeros(len(spans), dtype=np.bool_)
    first = np.searchsorted(runs.starts, spans.starts, side="right") - 1
    last = np.minimum(np.searchsorted(runs.ends, spans.ends), len(runs.ends) - 1)
    three = last - first == 2  # with a month in letters there are two
    short = three & (runs.digits[first] <= _MOST_OF_A_DAY) & (runs.digits[last] <= _MOST_OF_A_DAY)
    short |= (first == last) & (runs.digits[first] == 3 * _MOST_OF_A_DAY)
    found: Flags = short & (runs.starts[first] == spans.starts) & (runs.ends[last] == spans.ends)
    return found


_MOST_OF_A_DAY = 2
"""Digits."""


def _is_dotted(content: Bytes, starts: Offsets) -> Flags:
    """Whether the first number of a date, of four digits at most, ends with a point."""
    first = windows(content, starts, _LONGEST_YEAR + 1)
    point = first == ord(".")
    dotted: Flags = point.any(axis=1) & is_digit(first[:, 0])
    return dotted


def _signed(buffer: Buffer, start: int, end: int, area: int) -> bool:
    floor = max(int(buffer.areas.starts[area]), start - _FARTHEST)
    before, after = buffer.bytes[floor:start].tobytes(), buffer.bytes[end : end + 2].tobytes()
    return _SIGNED.search(before) is not None and not _PORT.match(after)
