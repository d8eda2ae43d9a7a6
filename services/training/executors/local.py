"""Runs commands as processes of this host, which outlive the service that started them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from services.training import processes
from services.training.executors import (
    LaunchFailed,
    Lost,
    NeverStarted,
    Place,
    Running,
    Starting,
    State,
    wrapped,
)
from services.training.processes import Identity

_AFTER_KILL = 5.0  # seconds that the kernel gets to take a killed process away
_SWEEP = 0.05


class LocalExecutor:
    """`workdir` is where commands start; variables of this process's own that `withheld` names do not reach them."""

    name = "local"

    def __init__(self, workdir: Path, withheld: Callable[[str], bool]) -> None:
        self._workdir = workdir
        self._withheld = withheld

    async def launch(self, place: Place, argv: tuple[str, ...], variables: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not self._withheld(name)}
        environment = {**inherited, "TRAINLEDGER_PYTHON": sys.executable, **variables}
        await asyncio.to_thread(_launch, place, argv, environment, self._workdir)

    async def look(self, place: Place) -> State:
        return await asyncio.to_thread(_look, place)

    async def prevent(self, place: Place) -> bool:
        return await asyncio.to_thread(wrapped.claim, place) or await asyncio.to_thread(wrapped.prevented, place)

    async def stop(self, place: Place, grace: float) -> tuple[int, ...]:
        told: dict[Identity, signal.Signals] = {}
        clock = asyncio.get_running_loop().time
        begun = clock()
        while (left := await asyncio.to_thread(_members, place)) or isinstance(await self.look(place), Starting):
            waited = clock() - begun
            if waited > grace + _AFTER_KILL:
                return tuple(sorted(identity.pid for identity in left))
            number = signal.SIGKILL if waited >= grace else signal.SIGTERM
            for identity in left:
                if told.get(identity) is number:
                    continue
                if processes.send(identity, number) and number is signal.SIGTERM:
                    processes.send(identity, signal.SIGCONT)  # a stopped process takes TERM only once it continues
                told[identity] = number
            await asyncio.sleep(_SWEEP)
        return ()

    async def close(self) -> None:
        return


def _launch(place: Place, argv: tuple[str, ...], environment: dict[str, str], workdir: Path) -> None:
    bash, setsid = shutil.which("bash"), shutil.which("setsid")
    if bash is None:
        raise LaunchFailed("本机没有 bash，无法启动训练")
    if setsid is None:
        raise LaunchFailed("本机没有 setsid（util-linux），无法启动训练")
    wrapper = wrapped.install(place)
    if configuration := wrapped.configuration(place):
        environment = environment | {wrapped.CONFIG_FILE: str(configuration)}
    with (place.directory / "wrapper.log").open("ab") as messages:
        # --fork gives the wrapper to init: it is nobody's zombie and does not care when this service ends.
        subprocess.run(
            [setsid, "--fork", bash, wrapper, "run", place.directory, place.marker, workdir, *argv],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            env=environment,
            check=True,
        )


def _look(place: Place) -> State:
    if ended := wrapped.ended(place):
        return ended
    if not wrapped.claimed(place) or wrapped.prevented(place):
        return NeverStarted()
    wrapper, command = wrapped.wrapper_identity(place), wrapped.command_identity(place)
    if command is not None and processes.alive(command):
        return Running()
    if wrapper is not None and processes.alive(wrapper):
        return Starting() if command is None else Running()
    # Both are dead now; what they wrote before that is there by now.
    return wrapped.ended(place) or Lost()


def _members(place: Place) -> set[Identity]:
    return processes.members(place.marker, wrapped.command_identity(place))
