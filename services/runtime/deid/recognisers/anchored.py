"""What its first letters tell, or colons in a row: plates, keys of services, dates in words, network addresses."""

from __future__ import annotations

import re
import socket
from typing import Any

import numpy as np

from services.runtime.deid import spelled_dates
from services.runtime.deid.buffers import Bytes, Offsets
from services.runtime.deid.pseudonyms.plans import PLATE_DOTS, PLATE_LETTERS, PLATE_SIGNS
from services.runtime.deid.reaches import ALNUM, HEX, LETTERS, among_bytes, is_digit, reach, stretches, windows
from services.runtime.deid.recognisers.beginnings import Beginnings
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import Groups

_KEY = re.compile(rb"[A-Za-z0-9_.~+/-]{16,4096}(?:=[0-9A-Z]{8}(?![0-9A-Za-z])|=*)")
"""With the check sum that keys of Atlassian end with."""
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,4096}(?:\.[A-Za-z0-9_-]{0,4096})?")
_JWT_WORD, _LONGEST_PART = re.compile(rb"[A-Za-z0-9_-]*"), 3 + 4096
_PLATE_SIGN = among_bytes("-. ")
_PLATE_CHARACTER = among_bytes("0123456789" + PLATE_LETTERS + PLATE_LETTERS.lower())
_PLATE_LETTER = among_bytes(PLATE_LETTERS + PLATE_LETTERS.lower())
_PLATE_WORDS = tuple(word.encode() for word in "学學挂掛警港澳领領")
_LONGEST_PLATE = 6


def find(groups: Groups, begun: Beginnings, out: Candidates) -> None:
    if begun.plates:
        _plates(groups.content, np.array(begun.plates), out)
    _dates(groups.searched, begun.dates, out)
    _keys(groups.content, groups.searched, begun.keys, out)
    if out.wanted & {"MAC", "IPV6"} and begun.shapes & {"colons", "dashes"}:
        _network(groups, out)
    if "MAC" in out.wanted and "dots" in begun.shapes:
        _dotted_macs(groups, out)
    if "IPV6" in out.wanted and "colons" in begun.shapes:
        _short_ipv6(groups, out)
    if "API_KEY" in out.wanted and "bots" in begun.shapes:
        _bot_tokens(groups, out)


def _plates(content: Bytes, starts: Offsets, out: Candidates) -> None:
    """Province and letter, and five or six letters and digits; four before a word such as 学. At most one sign is
    between each two.

    A sign before the letter needs a dot after it, or any sign after it and no 汉字 before the province; else it needs a
    word for plates, as a sign after one more letter does: `京AD 12345`.
    """
    at, early = _after_sign(content, starts + 3)
    at = at + 1
    lettered = _PLATE_LETTER[content[at]] & _PLATE_SIGN[content[at + 1]]
    at, late = _after_sign(content, at + lettered)
    length = reach(content, at, _PLATE_CHARACTER, _LONGEST_PLATE + 1)
    ends = at + length
    after = windows(content, ends, 3)
    worded = np.any([(after == np.frombuffer(word, dtype=np.uint8)).all(axis=1) for word in _PLATE_WORDS], axis=0)
    digit = is_digit(windows(content, at, _LONGEST_PLATE)) & (np.arange(_LONGEST_PLATE) < length[:, None])
    good = ((length >= 5) & (length <= _LONGEST_PLATE) | (length == 4) & worded) & ~ALNUM[content[ends]]
    good &= digit.any(axis=1) & ~(lettered & (length != 5))
    in_word = (content[starts - 3] >= 0xE4) & (content[starts - 3] <= 0xE9) & (content[starts - 1] >= 0x80)
    unclear = (early > 0) & (early != _DOT) & (late != _DOT) & ((late == 0) | in_word) | lettered
    out.add("CN_PLATE", starts[good], ends[good], (0.8 - 0.35 * unclear)[good])


_DOT = 2


def _after_sign(content: Bytes, at: Offsets) -> tuple[Offsets, Offsets]:
    """Behind a sign that may stand there, and of what sort it is: none (0), a dot (2) or another (1)."""
    length, sort = np.zeros(len(at), dtype=np.int64), np.zeros(len(at), dtype=np.int64)
    window = windows(content, at, 3)
    for sign in PLATE_SIGNS:
        spelled = np.frombuffer(sign.encode(), dtype=np.uint8)
        there = (window[:, : len(spelled)] == spelled).all(axis=1)
        length[there], sort[there] = len(spelled), _DOT if sign in PLATE_DOTS else 1
    return at + length, sort


def _dates(searched: bytes, starts: list[int], out: Candidates) -> None:
    after, places = 0, list[tuple[int, int]]()
    for start in starts:
        if start < after or ALNUM[searched[start - 1]]:
            continue
        window = searched[start : start + spelled_dates.LONGEST].decode(errors="ignore")
        after = end = start + len(spelled_dates.at_start(window).encode())
        if end > start and not ALNUM[searched[end]]:
            places.append((start, end))
    out.add_all("DATE", places, 0.7)


def _keys(content: Bytes, searched: bytes, starts: list[int], out: Candidates) -> None:
    after = no_jwt = 0
    for start in starts:
        jwt = searched.startswith(b"eyJ", start)
        if start < after or (jwt and start < no_jwt) or ALNUM[content[start - 1]]:
            continue
        found = (_JWT if jwt else _KEY).match(searched, start)
        if found:
            after = end = found.end()
            while searched[end - 1] in b".-/+":
                end -= 1
            out.add_one("API_KEY", start, end, 0.95)
        elif jwt:  # nor does any other part of the same word begin one, but of a longer one its last part
            word = _JWT_WORD.match(searched, start)
            assert word is not None
            no_jwt = word.end() - _LONGEST_PART if word.end() - start > _LONGEST_PART else word.end()


_DIGITS, _SECRET, _SECRET_LENGTH = among_bytes("0123456789"), among_bytes("0123456789_-" + LETTERS), 35


def _bot_tokens(groups: Groups, out: Candidates) -> None:
    """Of Telegram: the number of a bot, a colon, and a secret of one length."""
    content, colons = groups.content, groups.places(":")
    colons = colons[_DIGITS[content[colons - 1]] & _SECRET[content[colons + 1]]]
    before = reach(content, colons, _DIGITS, 11, back=True)
    after = reach(content, colons + 1, _SECRET, _SECRET_LENGTH + 1)
    good = (before >= 8) & (before <= 10) & (after == _SECRET_LENGTH)
    out.add("API_KEY", (colons - before)[good], (colons + 1 + after)[good], 0.9)


_NETWORK = among_bytes("0123456789abcdefABCDEF:.-")
_IPV6 = among_bytes("0123456789abcdefABCDEF:.")
_MAC = re.compile(rb"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")
_LABELLED_MAC = re.compile(rb"(?:MAC|mac)([0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\2){4}[0-9A-Fa-f]{2})(?![0-9A-Za-z:])")
_DOTTED_MAC = re.compile(rb"(?<![0-9A-Za-z.])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?!\.?[0-9A-Za-z])")
_NOBODYS_MAC = re.compile(rb"(?:00[:-]){5}00|(?:ff[:-]){5}ff", re.IGNORECASE)
_TIMES = re.compile(rb"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?::|\Z)){2}")
"""Two of a day, which is a MAC after a word for it."""
_LONGEST_ADDRESS, _LONGEST_GROUP = 45, 4


def _dotted_macs(groups: Groups, out: Candidates) -> None:
    dots = groups.places(".")
    for dot in dots[:-1][np.diff(dots) == 5].tolist():
        if found := _DOTTED_MAC.match(groups.searched, dot - 4):
            out.add_one("MAC", found.start(), found.end(), 0.7)


def _network(groups: Groups, out: Candidates) -> None:
    """Where four colons, or the dashes of a MAC, follow one another closely: all that could be of such an address."""
    content, searched = groups.content, groups.searched
    colons, dashes = groups.places(":"), groups.places("-")
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
        if not _NOBODYS_MAC.fullmatch(left):
            out.add_one("MAC", start, start + len(left), 0.3 if _TIMES.fullmatch(left) else 0.85)
    elif _is_ipv6(left.decode()) and (length := _own_length(left)):
        out.add_one("IPV6", start, start + length, 0.8)


def _own_length(address: bytes) -> int:
    """Without an IPv4 address at its end, which is one of its own; 0 where nothing else tells who it is."""
    if b"." not in address:
        return len(address)
    own = address[: address.rindex(b":") + 1]
    return 0 if own.lower() in (b"::", b"::ffff:") else len(own)


def _is_ipv6(text: str) -> bool:
    """One of somebody: not that of this machine, in whatever spelling."""
    try:
        address = socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return len(text) <= _LONGEST_ADDRESS and any(address[:-1])


def _short_ipv6(groups: Groups, out: Candidates) -> None:
    """Those with `::`: a word of hexadecimal digits and colons with nothing of letters beside it.

    Its first group has four digits or, as slices and names of code have, too, it has more groups than two.
    """
    content, at = groups.content, groups.places(":")
    at = at[content[at + 1] == ord(":")]
    at = at[HEX[content[at - 1]] | HEX[content[np.minimum(at + 2, len(content) - 1)]]]
    if not len(at):
        return
    starts = at - reach(content, at, _IPV6, _LONGEST_ADDRESS, back=True)
    ends = at + reach(content, at, _IPV6, _LONGEST_ADDRESS)
    good = ~ALNUM[content[starts - 1]] & ~ALNUM[content[ends]] & (ends - starts >= 4)
    good[1:] &= starts[1:] > starts[:-1]
    ends = ends - reach(content, ends, among_bytes("."), _LONGEST_ADDRESS, back=True)
    good &= ~((content[starts - 1] == ord("[")) & ALNUM[content[starts - 2]])  # an index
    good &= (reach(content, starts, HEX, _LONGEST_GROUP + 1) == _LONGEST_GROUP) | (_colons(groups, starts, ends) > 2)
    starts, ends = starts[good], ends[good]
    found = [groups.searched[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    own = {address: _own_length(address) for address in set(found) if _is_ipv6(address.decode())}
    lengths = np.array([own.get(address, 0) for address in found], dtype=np.int64)
    chosen = np.flatnonzero(lengths)
    out.add("IPV6", starts[chosen], starts[chosen] + lengths[chosen], 0.8)


def _colons(groups: Groups, starts: Offsets, ends: Offsets) -> Offsets:
    places = groups.places(":")
    return np.searchsorted(places, ends) - np.searchsorted(places, starts)
