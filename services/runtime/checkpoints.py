"""How far a consumer of facts is, and what it is still at: kept in a file that survives its process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NoReturn, TypeVar
from uuid import UUID

import msgspec

from events.log import EventLog
from services.runtime.durable_files import write_durably

_PAUSE = 1.0

_log = logging.getLogger(__name__)


class Seen(msgspec.Struct, frozen=True):
    """Facts up to `position` were seen."""

    position: int = 0


class Checkpoint(Seen, frozen=True):
    """Of the facts that were seen, what `live` names, oldest first, is not over for this service."""

    live: tuple[UUID, ...] = ()


C = TypeVar("C", bound=Seen)


def read_checkpoint(file: Path, kind: type[C]) -> C:
    """A missing or unreadable one costs time only: every fact is then seen again, and nothing is done twice."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError:
        return kind()
    except msgspec.DecodeError:
        _log.warning("the checkpoint %s cannot be read: starting from the first fact", file)
        return kind()


class Checkpoints(Generic[C]):
    """The checkpoints of one consumer; only the last one is kept."""

    def __init__(self, file: Path, kind: type[C]) -> None:
        self._file = file
        self._kind = kind
        self._changed = asyncio.Event()

    async def last(self, log: EventLog) -> C:
        """Where to go on in this log. Raises LogUnavailable."""
        found = await asyncio.to_thread(read_checkpoint, self._file, self._kind)
        if found.position > await log.last_position():
            _log.warning("the log is shorter than the checkpoint %s: starting from the first fact", self._file)
            return self._kind()
        return found

    def changed(self) -> None:
        """There is something new to keep."""
        self._changed.set()

    async def keep(self, now: Callable[[], C]) -> NoReturn:
        """Keeps what `now` says after each change, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await asyncio.to_thread(write_durably, self._file, msgspec.json.encode(now()))
            except OSError as error:  # an old one costs time only, and the disk may have room again later
                _log.warning("the checkpoint %s cannot be written: %s", self._file, error)
                await asyncio.sleep(_PAUSE)
                self._changed.set()
