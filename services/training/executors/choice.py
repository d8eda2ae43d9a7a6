"""Which executor new runs get."""

from __future__ import annotations

import logging
from pathlib import Path

from services.runtime.settings import Settings
from services.training.executors import Executor
from services.training.executors.docker import DockerExecutor
from services.training.executors.local import LocalExecutor
from services.training.launching import withheld

_log = logging.getLogger("trainledger.training")


async def choose(settings: Settings, root: Path) -> dict[str, Executor]:
    """Every executor by its name, so that runs of earlier settings are found again; the first is that of new runs.

    `auto` is docker where the engine answers and the named container runs, else local. Local ones start in `root`.
    """
    docker = DockerExecutor(settings.docker_container_name, settings.docker_working_dir, root=root)
    local = LocalExecutor(root, withheld)
    first: Executor = docker
    if settings.executor == "local":
        first = local
    elif reason := await docker.unusable():
        if settings.executor == "docker":
            _log.warning("EXECUTOR is docker, but no training can be launched now: %s", reason)
        else:
            _log.info("trainings run on this machine itself: %s", reason)
            first = local
    second: Executor = docker if first is local else local
    return {executor.name: executor for executor in (first, second)}
