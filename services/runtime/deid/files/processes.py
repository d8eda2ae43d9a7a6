"""Processes that work on pieces of files beside this one: started once, and kept for the files that follow."""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from services.runtime.deid.files import memory
from services.runtime.deid.refusals import FileRefused

if TYPE_CHECKING:
    from services.runtime.deid.files.work import Done, Job, Work

_AHEAD = 2
"""Pieces that each process has at a time: one at work, and one to go on with."""


class Handed:
    """A piece of a file that another process works on; what becomes of it is written as the file `into`."""

    def __init__(self, doing: Future[Done], into: Path) -> None:
        self._doing, self._into = doing, into

    def at_work(self) -> bool:
        return not self._doing.done()

    def result(self) -> Done:
        """Waits for it. Raises what went wrong there."""
        done = self._doing.result()
        content = self._into.read_bytes()
        self._into.unlink()
        return msgspec.structs.replace(done, content=content)

    def drop(self) -> None:
        """Nobody wants it any more. Waits until nothing of it can come."""
        if not self._doing.cancel():
            self._doing.exception()
        self._into.unlink(missing_ok=True)


class Helpers:
    """`count` processes. They start while this one works already, and get nothing to do before they are ready."""

    def __init__(self, count: int) -> None:
        self._pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin)
        self._starting = [self._pool.submit(_ready) for _ in range(count)]

    def wait(self) -> None:
        """Until they are ready."""
        for started in self._starting:
            started.result()

    def alive(self) -> bool:
        """Where one of them died, none works any more."""
        with suppress(BrokenProcessPool):
            self._pool.submit(_ready)
            return True
        return False

    def spare(self, at_work: int) -> bool:
        """Whether they take one more piece when they have so many."""
        return at_work < _AHEAD * sum(started.done() for started in self._starting)

    def hand(self, told: bytes, source: Path, start: int, size: int, before: bytes, into: Path) -> Handed:
        """`told`: the job, pickled once for all its pieces; `before`: what `Work.do` is told."""
        return Handed(self._pool.submit(_do, told, source, start, size, before, into), into)


_kept: dict[int, Helpers] = {}
_lock = threading.Lock()


def helpers(count: int) -> Helpers:
    """As many, which end with this process; where one of them has died, new ones."""
    with _lock:
        if count not in _kept or not _kept[count].alive():
            _kept[count] = Helpers(count)
        return _kept[count]


def told(job: Job) -> bytes:
    return pickle.dumps(job)


def _begin() -> None:
    """In one of these processes, which ends with its parent even where that is killed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    memory.keep()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _ready() -> None:
    """Loads what the first piece would wait for."""
    from services.runtime.deid.files import work  # noqa: F401


@lru_cache(maxsize=1)
def _work(job: bytes) -> Work:
    from services.runtime.deid.files.work import Work

    return Work(pickle.loads(job))  # noqa: S301 - of the process that started this one


def _do(job: bytes, source: Path, start: int, size: int, before: bytes, into: Path) -> Done:
    with source.open("rb") as file:
        file.seek(start)
        content = file.read(size)
    if len(content) < size:
        raise FileRefused("文件在读取时改变", "the file changed while it was read")
    done = _work(job).do(content, before)
    into.write_bytes(done.content)
    return msgspec.structs.replace(done, content=b"")
