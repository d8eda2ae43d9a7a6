"""Memory that stays with the process from chunk to chunk, instead of being taken anew, page by page, for each array."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

# Of mallopt(3), with the largest threshold that it takes.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_PIECE = 32 << 20
_KEPT = 256 << 20


def keep() -> None:
    """From now on. Where the C library is not glibc, nothing changes."""
    libc = _libc()
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_PIECE)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def give_back() -> None:
    """What is free now."""
    libc = _libc()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)
