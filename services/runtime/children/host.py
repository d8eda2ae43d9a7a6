"""Children of this host: launched, looked at and stopped."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from services.runtime.children import (
    Child,
    LaunchFailed,
    Lost,
    NeverStarted,
    Running,
    Starting,
    State,
    processes,
    wrapped,
)
from services.runtime.children.processes import Identity

_AFTER_KILL = 5.0  # seconds that the kernel gets to take a killed process away
_FIRST_SWEEP, _LONGEST_SWEEP = 0.02, 0.5  # each reads all of /proc, and many may be stopped at once


def launch(
    child: Child, argv: tuple[str, ...], environment: Mapping[str, str], workdir: Path, *, apart: bool = False
) -> None:
    """Starts the command with this whole environment and its mark, unless it was started before.

    Its stderr goes where its stdout goes, or, `apart`, into a file of its own.

    Raises LaunchFailed where it is known at once that it cannot be; what else went wrong, `look` tells.
    """
    bash, setsid = shutil.which("bash"), shutil.which("setsid")
    if bash is None:
        raise LaunchFailed("本机没有 bash，无法启动命令", "this machine has no bash to start the command with")
    if setsid is None:
        raise LaunchFailed(
            "本机没有 setsid（util-linux），无法启动命令",
            "this machine has no setsid (util-linux) to start the command with",
        )
    wrapper = wrapped.install(child)
    with (child.directory / "wrapper.log").open("ab") as messages:
        # --fork gives the wrapper to init: it is nobody's zombie and does not care when this service ends.
        subprocess.run(
            [setsid, "--fork", bash, wrapper, "apart" if apart else "run", child.directory, child.mark, workdir, *argv],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            env=environment,
            check=True,
        )


def look(child: Child) -> State:
    """What is so now, from the processes and the files that they left."""
    if ended := wrapped.ended(child):
        return ended
    if not wrapped.claimed(child) or wrapped.prevented(child):
        return NeverStarted()
    wrapper, command = wrapped.wrapper_identity(child), wrapped.command_identity(child)
    if command is not None and processes.alive(command):
        return Running()
    if wrapper is not None and processes.alive(wrapper):
        return Starting() if command is None else Running()
    # Both are dead now; what they wrote before that is there by now.
    return wrapped.ended(child) or Lost()


def prevent(child: Child) -> bool:
    """Makes sure that a command that was never started never will be; False where it was started."""
    return wrapped.claim(child) or wrapped.prevented(child)


def members(child: Child) -> set[Identity]:
    """Every living process of the child."""
    return processes.members(child.mark, wrapped.command_identity(child))


async def stop(child: Child, grace: float) -> tuple[int, ...]:
    """TERM, after `grace` seconds KILL, to everything of the child; the pids that are alive all the same."""
    told: dict[Identity, signal.Signals] = {}
    clock = asyncio.get_running_loop().time
    begun, pause = clock(), _FIRST_SWEEP
    while (left := await asyncio.to_thread(members, child)) or isinstance(
        await asyncio.to_thread(look, child), Starting
    ):
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
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_SWEEP)
    return ()
