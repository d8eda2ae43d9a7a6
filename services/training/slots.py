"""Which runs of this node may run now: so many at a time, with GPUs of their own, in the order of their requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import msgspec


class Running(msgspec.Struct, frozen=True):
    """What a run takes: a slot of its executor, and the directory that it shares with other runs, if any."""

    executor: str
    directory: str | None


class Waiting(msgspec.Struct, kw_only=True):
    """A run that asks to begin. `position` is that of its request in the log.

    Once `decided` is set it is either `admitted`, or has to wait with `ahead` others before it.
    """

    position: int
    takes: Running
    decided: asyncio.Event
    admitted: asyncio.Event
    ahead: int = 0


class Slots:
    """`limit` is how many runs of an executor may run at a time, none for any number.

    With `by_gpu` whoever is first in line waits besides until he is allowed to begin, or told that he has to wait.
    Nobody is admitted while it is unknown of an expected run whether it runs already: after a restart, what runs has
    to be counted before the next may begin.
    """

    def __init__(self, limit: int | None = None, *, by_gpu: bool = False) -> None:
        self._limit = limit
        self._by_gpu = by_gpu
        self._allowed: set[UUID] = set()
        self._refused: set[UUID] = set()
        self._first: UUID | None = None
        self._line = asyncio.Event()
        self._unknown: set[UUID] = set()
        self._running: dict[UUID, Running] = {}
        self._waiting: dict[UUID, Waiting] = {}

    def expect(self, run_id: UUID) -> None:
        """The run will occupy, wait or leave."""
        if run_id not in self._running and run_id not in self._waiting:
            self._unknown.add(run_id)

    def occupy(self, run_id: UUID, takes: Running) -> None:
        """It runs, whether there is room for it or not."""
        self._waiting.pop(run_id, None)
        self._running[run_id] = takes
        self._known(run_id)

    def wait(self, run_id: UUID, position: int, takes: Running) -> Waiting:
        waiting = Waiting(position=position, takes=takes, decided=asyncio.Event(), admitted=asyncio.Event())
        self._running.pop(run_id, None)
        self._waiting[run_id] = waiting
        self._known(run_id)
        return waiting

    def leave(self, run_id: UUID) -> None:
        """It has ended, or is none of this node's."""
        self._running.pop(run_id, None)
        self._waiting.pop(run_id, None)
        self._allowed.discard(run_id)
        self._refused.discard(run_id)
        self._known(run_id)

    def give_up(self, run_id: UUID) -> None:
        """It cannot be told what it does: it keeps what it has, and nobody waits to learn more."""
        self._waiting.pop(run_id, None)
        self._known(run_id)

    @property
    def first(self) -> UUID | None:
        """The run that could begin if it were allowed to."""
        return self._first

    async def first_in_line(self) -> UUID:
        """Waits until there is one."""
        while self._first is None:
            self._line.clear()
            await self._line.wait()
        return self._first

    def allow(self, run_id: UUID) -> None:
        """It has its GPUs, whether it asked to begin already or not."""
        self._allowed.add(run_id)
        self._look()

    def refuse(self, run_id: UUID) -> None:
        """There are no GPUs for it now."""
        if run_id in self._waiting:
            self._refused.add(run_id)
            self._look()

    def _known(self, run_id: UUID) -> None:
        self._unknown.discard(run_id)
        self._look()

    def _look(self) -> None:
        free_for_all = self._limit is None and not self._by_gpu
        taken = Counter(running.executor for running in self._running.values())
        directories = {running.directory for running in self._running.values()}
        ahead = 0
        self._first = None
        for identity, waiting in sorted(self._waiting.items(), key=lambda entry: entry[1].position):
            takes = waiting.takes
            if self._unknown and not (free_for_all and takes.directory is None):
                continue
            full = self._limit is not None and taken[takes.executor] >= self._limit
            full = full or (takes.directory is not None and takes.directory in directories)
            if self._by_gpu and not full and identity not in self._allowed:
                full = True
                if self._first is None:
                    self._first = identity
                    self._line.set()
                    if identity not in self._refused:
                        break  # what is found out for it is so for those behind it too
            if full:
                waiting.ahead = ahead
                ahead += 1
            else:
                del self._waiting[identity]
                self._running[identity] = takes
                taken[takes.executor] += 1
                waiting.admitted.set()
            directories.add(takes.directory)
            waiting.decided.set()
