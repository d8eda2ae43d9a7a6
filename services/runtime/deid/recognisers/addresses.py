"""Addresses of mail and of the web."""

from __future__ import annotations

import numpy as np

from services.runtime.deid.buffers import Bytes, Offsets
from services.runtime.deid.reaches import ALNUM, LETTERS, among_bytes, is_letter, reach
from services.runtime.deid.recognisers.beginnings import Beginnings
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import Groups

_LOCAL = among_bytes("0123456789.!#$%&'*+/=?^_`{|}~-" + LETTERS)
_DOMAIN = among_bytes("0123456789.-" + LETTERS)
_URL = among_bytes("0123456789-._~:/?#[]@!$&'()*+,;=%" + LETTERS)
_TRAILING = among_bytes(".,;:!?'\")")
_LOCAL_PART, _DOMAIN_PART = 64, 128


def find(groups: Groups, begun: Beginnings, out: Candidates) -> None:
    if "EMAIL" in out.wanted:
        _emails(groups.content, groups.places("@"), out)
    if "URL" in out.wanted and begun.shapes & {"scheme", "www"}:
        _urls(groups, out)


def _emails(content: Bytes, at: Offsets, out: Candidates) -> None:
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
    out.add("EMAIL", starts[good], ends[good], 0.9)


_SCHEME = among_bytes("0123456789+" + LETTERS)
_HOST = ALNUM | among_bytes("[:")
_LONGEST_SCHEME = 20


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
    for _ in range(4):
        ends = ends - _TRAILING[content[ends - 1]]
    good = (ends - hosts >= 4) & _HOST[content[hosts]]
    # One that begins inside another is part of it.
    order = np.argsort(starts, kind="stable")
    good[order[1:]] &= starts[order[1:]] >= ends[order[:-1]]
    out.add("URL", starts[good], ends[good], 0.85)
