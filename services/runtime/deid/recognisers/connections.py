"""Passwords of databases that no word tells, but their place: `root:…@tcp(10.0.0.3:3306)/db`, a line of `.pgpass`."""

from __future__ import annotations

import re

from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.secret_values import BARE

_BEFORE_TRANSPORT = re.compile(rb"(?<![\w.%+-])[\w.%+-]{1,64}:([!#-&(-_a-~]{4,64})\Z")
_AFTER_PORT = re.compile(rb":[0-9]{4}:[\w.*-]{1,63}:[\w.@*-]{1,63}:([!#-&(-_a-~]{6,64})(?=[\s\0\"'`]|\Z)")
_FARTHEST = 130
_SCORE = 0.8


def find(searched: bytes, starts: list[int], out: Candidates) -> None:
    """`starts`: of the transport with its @, or of the port between its colons."""
    for start in starts:
        if searched[start] == ord("@"):
            found = _BEFORE_TRANSPORT.search(searched, max(start - _FARTHEST, 0), start)
        else:
            found = _AFTER_PORT.match(searched, start)
        if found and BARE.match(searched, *found.span(1)):
            out.add_one("API_KEY", *found.span(1), _SCORE)
