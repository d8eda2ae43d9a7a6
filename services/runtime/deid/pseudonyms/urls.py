"""What of a URL stays, so that its pseudonym is one as well: signs, digits and letters stand where they stood."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from services.runtime.deid.buffers import Bytes, Flags, Offsets
from services.runtime.deid.reaches import among_bytes, is_digit, is_letter

_SLASH, _COLON, _AT, _PERCENT = (ord(sign) for sign in "/:@%")
_END_OF_AUTHORITY = among_bytes("/?#")
_LONGEST_PORT = 5
_ENTITY = re.compile(rb"&(?:[a-z]{2,4}|#[0-9]{2,3}|#x[0-9A-Fa-f]{2});")
"""Of HTML; whatever name of its form, as another would have to become none of them."""
_HEX_LETTERS = 6


def changeable(window: Bytes, inside: Flags) -> Flags:
    """Of N texts without the scheme, `www.`, ports, and entities of HTML."""
    steps = np.arange(window.shape[1])
    slashes = np.argmax((window[:, :-1] == _SLASH) & (window[:, 1:] == _SLASH), axis=1)
    bare = np.where((window[:, :4] == np.frombuffer(b"www.", dtype=np.uint8)).all(axis=1), 4, 0)
    host = np.where(slashes > 0, slashes + 2, bare)[:, None]
    found: Flags = (steps >= host) & ~_ports(window, host)
    for row in np.flatnonzero((window == ord("&")).any(axis=1) & (window == ord(";")).any(axis=1)).tolist():
        for entity in _ENTITY.finditer(window[row][inside[row]].tobytes()):
            found[row, entity.start() : entity.end()] = False
    return found


def escaped(window: Bytes, value: NDArray[np.uint32], radix: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The radices with those of letters after `%`, which stay hexadecimal; what is no such digit stays itself."""
    percent = window == _PERCENT
    after = np.zeros_like(percent)
    after[:, 1:] |= percent[:, :-1]
    after[:, 2:] |= percent[:, :-2]
    lettered = np.where(value < _HEX_LETTERS, _HEX_LETTERS, 0)
    return np.where(after & is_letter(window), np.minimum(radix, lettered), radix).astype(np.uint32)


def _ports(window: Bytes, host: Offsets) -> Flags:
    """Digits between a colon and the end of the authority, or the next host of a list: `h1:27017,h2:27017/`."""
    width = window.shape[1]
    steps = np.arange(width)
    ended = (_END_OF_AUTHORITY[window] | (window == 0)) & (steps >= host)
    within = (steps >= host) & ~np.logical_or.accumulate(ended, axis=1)
    host = np.maximum(host, np.where((window == _AT) & within, steps + 1, 0).max(axis=1)[:, None])
    digit = is_digit(window)
    before = np.maximum.accumulate(np.where(digit, -1, steps), axis=1)
    after = np.minimum.accumulate(np.where(digit, width, steps)[:, ::-1], axis=1)[:, ::-1]
    last = np.minimum(after, width - 1)
    closed = (after == width) | ~np.take_along_axis(within, last, 1)
    closed |= np.take_along_axis(window, last, 1) == ord(",")
    opened = (before >= host) & (np.take_along_axis(window, np.maximum(before, 0), 1) == _COLON)
    ports: Flags = digit & within & opened & closed & (after - before <= _LONGEST_PORT + 1)
    return ports
