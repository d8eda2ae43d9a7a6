"""Tells at once when a process is gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime.children import processes
from services.runtime.children.processes import Identity


@contextmanager
def watching(identity: Identity | None) -> Iterator[asyncio.Event]:
    """An event that is set once that very process has ended; at once where it is not there."""
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        descriptor = -1 if identity is None else os.pidfd_open(identity.pid)
    except OSError:
        descriptor = -1
    if descriptor < 0 or identity is None:
        gone.set()
        yield gone
        return
    try:
        if not processes.alive(identity):
            gone.set()
        else:
            loop.add_reader(descriptor, gone.set)
        yield gone
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
