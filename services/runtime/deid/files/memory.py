"""Memory that stays with the process from chunk to chunk, instead of being taken anew, page by page, for each array."""

from __future__ import annotations

import ctypes

# Of mallopt(3), with the largest threshold that it takes.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_PIECE = 32 << 20
_MOST_KEPT = 64 << 20


def keep() -> None:
    """From now on. Where the C library is not glibc, nothing changes."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_PIECE)
        libc.mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
