"""The Docker engine as far as runs need it."""

from __future__ import annotations

import asyncio
import os
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING

from services.runtime.children import Unreachable

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.containers import DockerContainer

_SOCKETS = (Path("/run/docker.sock"), Path("/var/run/docker.sock"))
ANSWER = 30.0


class NotThere(Exception):
    """The container does not exist or does not run; nothing in it is alive."""


async def refusal(container: DockerContainer, error: Exception) -> NotThere | Unreachable:
    """What it means that the engine did not exec. In a container that is paused everything is alive, and goes on."""
    status = getattr(error, "status", None)
    if status not in (404, 409):
        return Unreachable(said(error))
    try:
        paused = status == 409 and (await container.show())["State"].get("Paused", False)
    except errors() as again:
        return NotThere(said(again)) if getattr(again, "status", None) == 404 else Unreachable(said(again))
    return Unreachable(said(error)) if paused else NotThere(said(error))


class Engine:
    """`url` is none for DOCKER_HOST or the usual socket. Connects when it is first used."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._docker: Docker | None = None

    async def close(self) -> None:
        if self._docker is not None:
            await self._docker.close()
            self._docker = None

    async def container(self, name: str) -> DockerContainer:
        """By name or id; that it is there was not asked. Raises Unreachable."""
        return self._connected().containers.container(name)

    async def exec(self, container: DockerContainer, *command: str, timeout: float = ANSWER) -> tuple[int, bytes]:
        """Exit code and stdout. Raises NotThere or Unreachable."""
        printed = bytearray()
        try:
            async with asyncio.timeout(timeout):
                execution = await container.exec(command)
                async with execution.start(detach=False) as stream:
                    while (message := await stream.read_out()) is not None:
                        if message.stream == 1:
                            printed += message.data
                code = (await execution.inspect())["ExitCode"]
        except errors() as error:
            if getattr(error, "status", None) == 400:  # newer engines say so where there is no such program
                return 127, b""
            raise await refusal(container, error) from error
        return 126 if code is None else int(code), bytes(printed)

    def _connected(self) -> Docker:
        if self._docker is None:
            if self._url is None and "DOCKER_HOST" not in os.environ and not any(map(os.path.exists, _SOCKETS)):
                raise Unreachable(f"/run/docker.sock: {os.strerror(ENOENT)}")
            import aiodocker  # heavy, and most machines without an engine never need it

            try:
                self._docker = aiodocker.Docker(self._url)
            except ValueError as error:
                raise Unreachable(str(error)) from error
        return self._docker


def errors() -> tuple[type[Exception], ...]:
    """What the client raises where the engine refuses, or does not answer."""
    import aiodocker
    import aiohttp

    return (aiodocker.DockerError, aiohttp.ClientError, OSError, TimeoutError)


def said(error: Exception) -> str:
    return getattr(error, "message", "") or str(error) or type(error).__name__
