"""Work that one process at a time may do, told by a lock that ends with the process."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.runtime.settings.kinds import SettingRefused

_PREDECESSOR = 10.0  # seconds that an earlier service of the same directory gets to end


@asynccontextmanager
async def only_one(file: Path, taken: str) -> AsyncIterator[None]:
    """Holds the lock that is this file. Raises SettingRefused, with the sentence `taken`, where another keeps it."""
    await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = asyncio.get_running_loop().time() + _PREDECESSOR
        while not _locked(descriptor):
            if asyncio.get_running_loop().time() > deadline:
                raise SettingRefused(taken)
            await asyncio.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
