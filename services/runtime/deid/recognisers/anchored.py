"""What its first letters tell, or colons in a row: plates, keys of services, addresses of the network."""

from __future__ import annotations

import re
import socket
from functools import cache
from typing import Any

import numpy as np

from services.runtime.deid.buffers import Bytes, Offsets
from services.runtime.deid.reaches import ALNUM, HEX, among_bytes, reach, stretches
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import Groups

_KEYS = (
    r"sk-[A-Za-z0-9_-]{16}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    r"gh[pousr]_[A-Za-z0-9]{20}",
    r"github_pat_[A-Za-z0-9_]{20}",
    r"glpat-[A-Za-z0-9_-]{16}",
    r"xox[abprs]-[A-Za-z0-9-]{10}",
    r"AIza[A-Za-z0-9_-]{30}",
    r"LTAI[A-Za-z0-9]{12}",
    r"AKID[A-Za-z0-9]{16}",
    r"hf_[A-Za-z0-9]{20}",
    r"eyJ[A-Za-z0-9_-]{10}",
)
_KEY = re.compile(rb"[A-Za-z0-9_.~+/-]{16,4096}=*")
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,4096}(?:\.[A-Za-z0-9_-]{0,4096})?")
_PLATE_REST = re.compile(
    rb"[A-HJ-NP-Za-hj-np-z](?:\xc2\xb7|\xe2\x80\xa2|[-. ])?(?:[A-HJ-NP-Za-hj-np-z0-9]{5,6}|[A-HJ-NP-Za-hj-np-z0-9]{4}"
    rb"(?=\xe5\xad\xa6|\xe6\x8c\x82|\xe8\xad\xa6|\xe6\xb8\xaf|\xe6\xbe\xb3))"
)
_A_DIGIT = re.compile(rb"[0-9]")
_DIGIT = re.compile("[0-9]")


def find(groups: Groups, searched: bytes, out: Candidates) -> None:
    """`searched` is what `groups` look at."""
    if out.wanted & {"CN_PLATE", "API_KEY"}:
        _plates_and_keys(groups, searched, out)
    if out.wanted & {"MAC", "IPV6"}:
        _network(groups, searched, out)
    if "IPV6" in out.wanted:
        _short_ipv6(groups, searched, out)


@cache
def _database(provinces: str) -> Any:
    """Plates are expression 0."""
    import hyperscan

    expressions = [f"(?:{'|'.join(provinces)})[A-HJ-NP-Za-hj-np-z]", *_KEYS]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[expression.encode() for expression in expressions],
        ids=list(range(len(expressions))),
        flags=[hyperscan.HS_FLAG_SOM_LEFTMOST] * len(expressions),
    )
    return database


def _plates_and_keys(groups: Groups, searched: bytes, out: Candidates) -> None:
    import hyperscan

    found: list[int] = []
    database = _database(groups.forms.plate_provinces)
    database.scan(
        searched,
        match_event_handler=lambda number, start, *_: found.append(start << 8 | number),
        scratch=hyperscan.Scratch(database),
    )
    after_plate = after_key = 0
    for hit in sorted(found):
        start = hit >> 8
        if hit & 0xFF:
            if start >= after_key:
                after_key = _key(groups.content, searched, start, out)
        elif start >= after_plate:
            after_plate = _plate(searched, start, out)


def _plate(searched: bytes, start: int, out: Candidates) -> int:
    found = _PLATE_REST.match(searched, start + 3, start + 16)
    if not found or not _A_DIGIT.search(found[0]):
        return start + 3
    end = found.end()
    if ALNUM[searched[end]]:
        return start + 3
    out.add_one("CN_PLATE", start, end, 0.8)
    return end


def _key(content: Bytes, searched: bytes, start: int, out: Candidates) -> int:
    if ALNUM[content[start - 1]]:
        return start + 1
    jwt = searched.startswith(b"eyJ", start)
    found = (_JWT if jwt else _KEY).match(searched, start, start + 16_384)
    if not found:
        return start + (10 if jwt else 1)
    end = found.end()
    while searched[end - 1] in b".-/+":
        end -= 1
    out.add_one("API_KEY", start, end, 0.95)
    return end


_NETWORK = among_bytes("0123456789abcdefABCDEF:.-")
_MAC = re.compile(rb"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")
_LABELLED_MAC = re.compile(rb"(?:MAC|mac)([0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\2){4}[0-9A-Fa-f]{2})(?![0-9A-Za-z:])")
_LONGEST_ADDRESS = 45


def _network(groups: Groups, searched: bytes, out: Candidates) -> None:
    """Where four colons, or the dashes of a MAC, follow one another closely: all that could be of such an address."""
    content, colons, dashes = groups.content, groups.places(":"), groups.places("-")
    apart = np.diff(colons)
    at = np.concatenate([_in_a_row(colons, (apart >= 2) & (apart <= 5), 3), _in_a_row(dashes, np.diff(dashes) == 3, 4)])
    if not len(at):
        return
    firsts, lasts = stretches(content, at, _NETWORK)
    alone = ~ALNUM[content[lasts]]
    firsts, lasts = firsts[alone], lasts[alone]
    for first, last, labelled in zip(firsts.tolist(), lasts.tolist(), ALNUM[content[firsts - 1]].tolist(), strict=True):
        if labelled:
            found = _LABELLED_MAC.search(searched, first - 3, min(last, first + 64))
            if found:
                out.add_one("MAC", found.start(1), found.end(1), 0.85)
        else:
            _address(searched[first:last], first, out)


def _in_a_row(places: Offsets, close: Any, count: int) -> Offsets:
    """The first of so many closely following pairs, and one more place."""
    if len(close) < count:
        return places[:0]
    every = close[: len(close) - count + 1].copy()
    for step in range(1, count):
        every &= close[step : len(close) - count + 1 + step]
    first: Offsets = places[: len(every)][every]
    return first


def _address(text: bytes, start: int, out: Candidates) -> None:
    text = text.rstrip(b".-")
    if text.endswith(b":") and not text.endswith(b"::"):
        text = text[:-1]
    left = text.lstrip(b".-")
    start += len(text) - len(left)
    if len(left) > _LONGEST_ADDRESS:
        return
    if _MAC.fullmatch(left):
        out.add_one("MAC", start, start + len(left), 0.85)
    elif _is_ipv6(left.decode()):
        out.add_one("IPV6", start, start + len(left), 0.8)


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return len(text) <= _LONGEST_ADDRESS


def _short_ipv6(groups: Groups, searched: bytes, out: Candidates) -> None:
    """Those with `::`: a word of hexadecimal digits and colons with nothing of letters beside it."""
    content, at = groups.content, groups.places(":")
    at = at[content[at + 1] == ord(":")]
    at = at[HEX[content[at - 1]] | HEX[content[np.minimum(at + 2, len(content) - 1)]]]
    if not len(at):
        return
    table = among_bytes("0123456789abcdefABCDEF:.")
    starts = at - reach(content, at, table, _LONGEST_ADDRESS, back=True)
    ends = at + reach(content, at, table, _LONGEST_ADDRESS)
    good = ~ALNUM[content[starts - 1]] & ~ALNUM[content[ends]] & (ends - starts >= 4)
    text, seen, found = searched.decode("latin-1"), -1, list[tuple[int, int]]()
    for start, end in zip(starts[good].tolist(), ends[good].tolist(), strict=True):
        if start > seen:
            address = text[start:end].rstrip(".")
            if _DIGIT.search(address) and _is_ipv6(address):
                found.append((start, start + len(address)))
            seen = start
    if found:
        places = np.array(found)
        out.add("IPV6", places[:, 0], places[:, 1], 0.8)
