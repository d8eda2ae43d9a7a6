"""Where runs execute: the port every executor implements, and what it knows of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from uuid import UUID

import msgspec

from services.runtime.children import State, wrapped


class Place(msgspec.Struct, frozen=True):
    """One attempt of a run, and the directory on this host that is its alone."""

    run_id: UUID
    attempt: int
    directory: Path

    @property
    def key(self) -> str:
        return f"{self.run_id}/{self.attempt}"

    @property
    def mark(self) -> str:
        """What everything that the run starts has in its environment."""
        return f"TRAINLEDGER_RUN={self.key}"

    @property
    def output(self) -> Path:
        """The raw stdout as far as it is on this host."""
        return wrapped.output(self)

    @property
    def errors(self) -> Path:
        """The raw stderr as far as it is on this host."""
        return wrapped.errors(self)

    @property
    def order(self) -> Path:
        """How the two interleave."""
        return wrapped.order(self)

    @property
    def trainer_log(self) -> Path:
        """A copy of LLaMA-Factory's trainer_log.jsonl, where that itself is not on this host."""
        return self.directory / "trainer_log.jsonl"


class Executor(Protocol):
    """Launches, watches and stops commands; every call may be repeated, also by another process after a restart."""

    name: str

    async def launch(self, place: Place, argv: tuple[str, ...], variables: Mapping[str, str]) -> None:
        """Starts the command, with these environment variables beside the executor's own, unless it was started before.

        TRAINLEDGER_CONFIG_FILE then names the run's own YAML as the command sees it, where there is one.

        Raises LaunchFailed where it is known at once that it cannot be.
        """
        ...

    async def look(self, place: Place) -> State:
        """What is so now, from the processes and the files that they left."""
        ...

    async def prevent(self, place: Place) -> bool:
        """Makes sure that a command that was never started never will be; False where it was started."""
        ...

    async def stop(self, place: Place, grace: float) -> tuple[int, ...]:
        """TERM, after `grace` seconds KILL, to everything of the run; the pids that are alive all the same."""
        ...

    async def close(self) -> None:
        """Lets go of connections; what runs is not touched."""
        ...
