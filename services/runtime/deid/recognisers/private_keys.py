"""Private keys as PEM writes them: the parts of a block that are the key, not its frame."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

from services.runtime.deid.buffers import Areas
from services.runtime.deid.reaches import LETTERS, among_bytes
from services.runtime.deid.recognisers.candidates import Candidates
from services.runtime.deid.recognisers.groups import MARGIN, Groups

_FRAME = re.compile(rb"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PART = re.compile(rb"(?:\\[nr]|[^A-Za-z0-9+/=\\]){0,16}([A-Za-z0-9+/]{2,}={0,2})")
_SHORTEST_PART = 16
_LINE = re.compile(rb"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=[^0-9]*[0-9])[A-Za-z0-9+/]{60,76}\s{0,2}")
_BASE64 = among_bytes("0123456789+/" + LETTERS)
_SHORTEST_LINE, _LONGEST_LINE = 60, 78


def find(groups: Groups, areas: Areas, out: Candidates) -> None:
    """Blocks within one area, and areas that are a line as blocks have them, as a table or a list may have it.

    The offsets of `areas` are without the margin of `groups`.
    """
    if "API_KEY" not in out.wanted or not len(areas.starts):
        return
    content, searched = groups.content, groups.searched
    dashes = groups.places("-")
    if (np.diff(dashes) == 1).any() and b"PRIVATE KEY" in searched:
        _blocks(searched, areas, out)
    lengths = areas.ends - areas.starts
    starts = areas.starts[(lengths >= _SHORTEST_LINE) & (lengths <= _LONGEST_LINE)] + MARGIN
    for place in range(0, _SHORTEST_LINE, 20):
        starts = starts[_BASE64[content[starts + place]]]
    ends = areas.ends[np.searchsorted(areas.starts, starts - MARGIN)] + MARGIN
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if _LINE.fullmatch(searched, start, end):
            out.add_one("API_KEY", start, start + len(searched[start:end].rstrip()), 0.9)


def _blocks(searched: bytes, areas: Areas, out: Candidates) -> None:
    """Of a block that was cut off, what goes on in long parts."""
    for frame, following in pairwise([*_FRAME.finditer(searched), None]):
        assert frame is not None
        if frame[1] == b"END":
            continue
        at = frame.end()
        area = min(int(np.searchsorted(areas.ends, frame.start() - MARGIN)), len(areas.ends) - 1)
        end = int(areas.ends[area]) + MARGIN
        whole = following is not None and following[1] == b"END" and following.end() <= end
        end = min(end, end if following is None else following.start())
        while part := _PART.match(searched, at, end):
            if len(part[1]) >= _SHORTEST_PART or (whole and part.end() + 4 > end):
                out.add_one("API_KEY", part.start(1), part.end(1), 0.95)
            elif not whole:
                break
            at = part.end()
