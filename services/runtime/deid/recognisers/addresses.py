"""Addresses of mail and of the web."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid import spelled_mails
from services.runtime.deid.buffers import Buffer, Offsets
from services.runtime.deid.reaches import ALNUM, LETTERS, among_bytes, is_letter, reach, windows
from services.runtime.deid.recognisers.beginnings import Beginnings
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN, Groups
from services.runtime.deid.recognisers.top_level_domains import TOP_LEVEL_DOMAINS
from services.runtime.deid.spellings import both

_LOCAL = among_bytes("0123456789.!#$%&'*+/=?^_`{|}~-" + LETTERS)
_DOMAIN = among_bytes("0123456789.-" + LETTERS)
_URL = among_bytes("0123456789-._~:/?#[]@!$&'()*+,;=%" + LETTERS)
_TRAILING = among_bytes(".,;:!?'\")")
_LOCAL_PART, _DOMAIN_PART = 64, 128


def find(groups: Groups, begun: Beginnings, buffer: Buffer, out: Candidates) -> None:
    if "EMAIL" in out.wanted and len(buffer.areas.starts):
        _emails(groups, buffer, out)
        _spelled_emails(groups.searched, begun.mails, buffer, out)
    if "URL" in out.wanted and begun.shapes & {"scheme", "www"}:
        _urls(groups, out)


_MAIL, _FARTHEST = re.compile(both("mail|邮箱|邮件|电邮").encode(), re.IGNORECASE), 40
_METHODS = frozenset({"dot", "int", "mm", "mv", "to"})


def _emails(groups: Groups, buffer: Buffer, out: Candidates) -> None:
    """After a word for mail `#` stands for @, too."""
    content, at = groups.content, np.concatenate([groups.places("@"), groups.places("#")])
    at = at[_LOCAL[content[at - 1]] & ALNUM[content[at + 1]]]
    if not len(at):
        return
    before = reach(content, at, _LOCAL, _LOCAL_PART, back=True)
    after = reach(content, at + 1, _DOMAIN, min(_DOMAIN_PART, len(content)))
    starts, ends = at - before, at + 1 + after
    # Quotes and dots at the edges belong to the sentence around.
    for _ in range(3):
        starts += ~ALNUM[content[starts]] & (starts < at) & (content[starts] != ord("_"))
        ends -= ~ALNUM[content[ends - 1]]
    last_dot = np.full(len(at), -1, dtype=np.int64)
    for step in range(1, 25):
        place = ends - 1 - step
        last_dot = np.where((last_dot < 0) & (place > at) & (content[place] == ord(".")), place, last_dot)
    good = (starts < at) & (last_dot > at + 1) & (ends - last_dot > 2) & is_letter(content[last_dot + 1])
    git = (at - starts == 3) & (windows(content, starts, 3) == np.frombuffer(b"git", dtype=np.uint8)).all(axis=1)
    good &= ~(git & (content[ends] == ord(":")))
    good &= (content[at] == ord("@")) | (content[starts - 1] != ord("@"))
    signed = content[at[good]] == ord("@")
    starts, ends, last_dot = starts[good], ends[good], last_dot[good]
    told = np.array(
        [
            _is_known(groups.searched, label, end)
            for label, end in zip((last_dot + 1).tolist(), ends.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
    unsure = np.flatnonzero(told != signed)
    told[unsure] = _announced(groups.searched, starts[unsure], buffer)
    out.add("EMAIL", starts[told], ends[told], 0.9, told=np.isin(np.flatnonzero(told), unsure))


def _spelled_emails(searched: bytes, at: list[int], buffer: Buffer, out: Candidates) -> None:
    """A sentence has `at` and `dot`, too: without brackets an address needs the word for mail before it."""
    found = [place for place in (spelled_mails.around(searched, start) for start in at) if place]
    labels = [start + spelled_mails.last_label(searched[start:end]) for start, end in found]
    places = [place for label, place in zip(labels, found, strict=True) if _is_known(searched, label, place[1])]
    told = _announced(searched, np.array([start for start, _ in places], dtype=np.int64), buffer)
    out.add_all(
        "EMAIL",
        [
            (start, end)
            for (start, end), announced in zip(places, told, strict=True)
            if announced or spelled_mails.is_undoubted(searched[start:end])
        ],
        0.9,
    )


def _is_known(searched: bytes, start: int, end: int) -> bool:
    """A top-level domain, and no method that is called of what a matrix product gives: `a@b.to(device)`."""
    label = searched[start:end].lower().decode()
    return label in TOP_LEVEL_DOMAINS and not (label in _METHODS and searched[end : end + 1] == b"(")


def _announced(searched: bytes, starts: Offsets, buffer: Buffer) -> list[bool]:
    """By the word for mail before it, or in the name of its field."""
    area = buffer.area_of(starts - MARGIN)
    floors = np.maximum(buffer.floors[area] + MARGIN, starts - _FARTHEST)
    names = buffer.areas.name_starts[area] + MARGIN, buffer.areas.name_ends[area] + MARGIN
    places = zip(*(column.tolist() for column in (floors, starts, *names)), strict=True)
    search = _MAIL.search
    return [
        search(searched, floor, start) is not None or search(searched, name, name_end) is not None
        for floor, start, name, name_end in places
    ]


_SCHEME, _SCHEMES = among_bytes("0123456789+" + LETTERS), among_bytes("0123456789+:" + LETTERS)
_LISTING = among_bytes(",;")
"""Between URLs of a list, each with its scheme."""
_HOST = ALNUM | among_bytes("[:")
_LONGEST_SCHEME = 20
_NOBODYS = re.compile(
    rb"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?![0-9A-Za-z.@-]|:[^/?#@\s\0\"'<>\x80-\xff]{0,64}@)",
    re.IGNORECASE,
)
"""Hosts that are whatever machine one is on, unless they are the name of somebody at another one."""


_SIGNS, _HAN_LEADS = among_bytes("/?&=#_-"), np.isin(np.arange(256), np.arange(0xE4, 0xEA))
_ASCII, _HAN = rb"[0-9A-Za-z._~%+@-]", rb"(?:\xe4[\xb8-\xbf]|[\xe5-\xe9][\x80-\xbf])[\x80-\xbf]"
_PART = rb"%b{0,64}(?:%b%b{0,32}){0,10}" % (_ASCII, _HAN, _ASCII)
_PATH = re.compile(rb"((?:%b[/?&=#]){0,32})(?:(%b)(?!%b|%b))?" % (_PART, _PART, _ASCII, _HAN))


def _end_of_path(searched: bytes, host: int, at: int) -> int:
    """Where a URL ends that has 汉字 here, after a sign of its path: a sentence goes on right behind one, too.

    So no part has more than ten 汉字, and the last is none of its where nothing is but a host and a slash before.
    """
    if not _PATH_SIGN.search(searched, host, at):
        return at
    found = _PATH.match(searched, at)
    assert found is not None
    bare = not found[1] and _PATH_SIGN.search(searched, host, at - 1) is None
    return found.end(1) if bare or found[2] is None else found.end()


_PATH_SIGN = re.compile(rb"[/?#]")


def _next(places: Offsets, at: Offsets, end: int) -> Offsets:
    """The first of these places from each offset on, `end` where there is none."""
    return np.append(places, end)[np.searchsorted(places, at)]


def _links(groups: Groups) -> Offsets:
    """Where a link of Markdown goes from its text on to its target."""
    brackets = groups.places("]")
    links: Offsets = brackets[groups.content[brackets + 1] == ord("(")]
    return links


_ENTITY = re.compile(rb"&(?:(quot|lt|gt|nbsp|#34|#60|#62|#160|#x22|#x3[CEce]|#xA0|#xa0)|apos|#39|#x27);")
"""Of HTML, for signs that no URL has, which are told apart, and for the single quote."""
_LAST_ENTITY = re.compile(rb"&(?:[a-z]{2,4}|#[0-9]{2,3}|#x[0-9A-Fa-f]{2});\Z")
_LONGEST_ENTITY = 6


def _entities(groups: Groups, amp: Offsets) -> tuple[Offsets, Offsets, Offsets]:
    """Of those at these places where those begin that no URL has; where single quotes do, in any spelling, and end."""
    quotes = groups.places("'")
    amp = amp[(windows(groups.content, amp, _LONGEST_ENTITY) == ord(";")).any(axis=1)]
    found = [entity for at in amp.tolist() if (entity := _ENTITY.match(groups.searched, at))]
    ending = np.array([entity.start() for entity in found if entity[1]], dtype=np.int64)
    spelled = np.array([entity.span() for entity in found if not entity[1]], dtype=np.int64).reshape(-1, 2)
    return ending, np.sort(np.append(quotes, spelled[:, 0])), np.append(quotes + 1, spelled[:, 1])


def _urls(groups: Groups, out: Candidates) -> None:
    content, colon = groups.content, groups.places(":")
    colon = colon[(content[colon + 1] == ord("/")) & (content[np.minimum(colon + 2, len(content) - 1)] == ord("/"))]
    starts = colon - reach(content, colon, _SCHEME, _LONGEST_SCHEME, back=True)
    found = is_letter(content[starts])
    starts, hosts = starts[found], colon[found] + 3
    www = groups.places(".") - 3
    for step in range(3):
        www = www[content[www + step] == ord("w")]
    if len(www):
        www = www[~np.isin(www, hosts) & ~ALNUM[content[www - 1]] & (content[www - 1] != ord("@"))]
        starts, hosts = np.concatenate([starts, www]), np.concatenate([hosts, www])
    if not len(starts):
        return
    stops = np.flatnonzero(~_URL[content])
    ends = stops[np.minimum(np.searchsorted(stops, hosts), len(stops) - 1)]
    amp = groups.places("&")
    amp = amp[np.isin(_next(stops, amp, len(content)), ends)]
    ends = np.minimum(ends, _next(np.sort(starts[_LISTING[content[starts - 1]]]), starts + 1, len(content)))
    ends = np.minimum(ends, _next(_links(groups), hosts, len(content)))
    ending, quotes, after_quotes = _entities(groups, amp)
    ends = np.minimum(ends, _next(ending, hosts, len(content)))
    begins = starts - reach(content, starts, _SCHEMES, _LONGEST_SCHEME, back=True)
    quoted = np.flatnonzero(np.isin(begins, after_quotes))
    ends[quoted] = np.minimum(ends[quoted], _next(quotes, hosts[quoted], len(content)))
    han = np.flatnonzero(_SIGNS[content[ends - 1]] & _HAN_LEADS[content[np.minimum(ends, len(content) - 1)]])
    for index in han.tolist():
        ends[index] = _end_of_path(groups.searched, int(hosts[index]), int(ends[index]))
    for _ in range(4):
        for index in np.flatnonzero(content[ends - 1] == ord(";")).tolist():
            last = _LAST_ENTITY.search(groups.searched, int(ends[index]) - _LONGEST_ENTITY, int(ends[index]))
            ends[index] = last.start() if last else ends[index]
        ends = ends - _TRAILING[content[ends - 1]]
    good = (ends - hosts >= 4) & _HOST[content[hosts]]
    good &= [_NOBODYS.match(groups.searched, host) is None for host in hosts.tolist()]
    # One that begins inside another is part of it.
    order = np.argsort(starts, kind="stable")
    good[order[1:]] &= starts[order[1:]] >= ends[order[:-1]]
    out.add("URL", starts[good], ends[good], 0.85)
