"""IP addresses that are hosts of URLs, and the ports after them."""

from __future__ import annotations

import re

import numpy as np

from services.runtime.deid.buffers import Bytes, Offsets
from services.runtime.deid.reaches import is_digit

_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]*)")
_ADDRESS = re.compile(rb"(?<![0-9A-Za-z.-])([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]{1,5})?(?![0-9A-Za-z.:-])")
_MAPPED = rb"::(?:ffff:)?(?=[0-9]+\.)"
_LONG_ADDRESS = re.compile(
    rb"\[((?!%b)(?:[0-9a-f]{0,4}:){2,8}(?:[0-9a-f]{1,4}(?![0-9a-f.]))?|)(?:%b)?" % (_MAPPED, _MAPPED), re.IGNORECASE
)
"""Of IPv6, but for an IPv4 address at its end, which is one of its own, and what says that there is nothing else."""
_DOTS = 3


def addresses(content: Bytes, starts: Offsets, ends: Offsets) -> tuple[Offsets, Offsets, Offsets]:
    """In the URLs at these places, where each IPv4 address begins and ends, and where its port does.

    A pseudonym of a URL has them where the URL does: letters, digits and signs are told apart alone.
    """
    dots = np.flatnonzero(content == ord("."))
    dots = dots[is_digit(content.take(dots - 1, mode="clip")) & is_digit(content.take(dots + 1, mode="clip"))]
    some = np.searchsorted(dots, ends) - np.searchsorted(dots, starts) >= _DOTS
    return _in_authorities(_ADDRESS, content, starts[some], ends[some])


def long_addresses(content: Bytes, starts: Offsets, ends: Offsets) -> tuple[Offsets, Offsets, Offsets]:
    """The same of IPv6, and where what stays after it ends."""
    brackets = np.flatnonzero(content == ord("["))
    some = np.searchsorted(brackets, ends) > np.searchsorted(brackets, starts)
    return _in_authorities(_LONG_ADDRESS, content, starts[some], ends[some])


def _in_authorities(
    address: re.Pattern[bytes], content: Bytes, starts: Offsets, ends: Offsets
) -> tuple[Offsets, Offsets, Offsets]:
    found = list[tuple[int, int, int]]()
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        url = content[start:end].tobytes()
        if authority := _AUTHORITY.match(url):
            hosts = address.finditer(url, *authority.span(1))
            found += [(start + host.start(1), start + host.end(1), start + host.end()) for host in hosts]
    first, last, after = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return first, last, after
