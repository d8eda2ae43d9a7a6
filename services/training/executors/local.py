"""Runs commands as processes of this host, which outlive the service that started them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from services.runtime.children import State, host
from services.training.configuration import CONFIG_FILE, kept
from services.training.executors import Place


class LocalExecutor:
    """`workdir` is where commands start; variables of this process's own that `withheld` names do not reach them."""

    name = "local"

    def __init__(self, workdir: Path, withheld: Callable[[str], bool]) -> None:
        self._workdir = workdir
        self._withheld = withheld

    async def launch(self, place: Place, argv: tuple[str, ...], variables: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not self._withheld(name)}
        environment = {**inherited, "TRAINLEDGER_PYTHON": sys.executable, **variables}
        if configuration := await asyncio.to_thread(kept, place.directory):
            environment[CONFIG_FILE] = str(configuration)
        await asyncio.to_thread(host.launch, place, argv, environment, self._workdir, apart=True)

    async def look(self, place: Place) -> State:
        return await asyncio.to_thread(host.look, place)

    async def prevent(self, place: Place) -> bool:
        return await asyncio.to_thread(host.prevent, place)

    async def stop(self, place: Place, grace: float) -> tuple[int, ...]:
        return await host.stop(place, grace)

    async def close(self) -> None:
        return
