"""The deployment service as a process's part."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from events.log.jetstream import JetStreamLog
from services.deployment.answering import answer_questions
from services.deployment.consumer import Consumer
from services.deployment.health import Health
from services.deployment.node import Node
from services.runtime.dispatch import Dispatch
from services.runtime.durable_files import write_durably
from services.runtime.gpus import NvmlGpus
from services.runtime.reporting import report_sources
from services.runtime.settings import Settings
from services.runtime.settings.deployment import port_range
from services.runtime.settings.kinds import SettingRefused
from services.runtime.wiring import bus

_log = logging.getLogger("trainledger.deployment")
_PREDECESSOR = 10.0  # seconds that an earlier service of the same directory gets to end


async def run(settings: Settings) -> None:
    """Serves until cancelled; what is deployed goes on without it. Raises SettingRefused or NotReachable."""
    async with _only_one(settings.data_dir), bus(settings, f"deployment {settings.node}") as nc:
        log = JetStreamLog(nc)
        node = Node(
            name=settings.node,
            service=await asyncio.to_thread(_identity, settings.data_dir),
            log=log,
            dispatch=Dispatch(report_sources(log, settings)),
            gpus=NvmlGpus(),
            health=Health(),
            attempts=settings.data_dir / "deployments",
            logs=settings.deploy_log_dir,
            workdir=settings.models_dir or settings.host_training_dir or settings.data_dir,
            template=settings.vllm_cmd_template,
            host=settings.deploy_host,
            ports=tuple(port for port in port_range(settings.deploy_ports) if port != settings.port),
            start_seconds=settings.deploy_start_seconds,
            liveness_seconds=settings.deploy_liveness_seconds,
            stop_seconds=settings.deploy_stop_seconds,
            restarts=settings.deploy_restarts,
        )
        answering = await answer_questions(nc, node)
        try:
            await Consumer(node, settings.data_dir / "deployment.json").run()
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise
        finally:
            if nc.is_connected:
                for subscription in answering:
                    await subscription.unsubscribe()
            await node.health.close()


def _identity(data_dir: Path) -> UUID:
    """Of the service of this data directory, which keeps it in `deployment-id`."""
    file = data_dir / "deployment-id"
    try:
        return UUID(file.read_text().strip())
    except (FileNotFoundError, ValueError):
        identity = uuid4()
        write_durably(file, str(identity).encode())
        return identity


@asynccontextmanager
async def _only_one(data_dir: Path) -> AsyncIterator[None]:
    """Two services on one directory would supervise the same servers."""
    await asyncio.to_thread(data_dir.mkdir, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "deployment.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = asyncio.get_running_loop().time() + _PREDECESSOR
        while not _locked(descriptor):
            if asyncio.get_running_loop().time() > deadline:
                raise SettingRefused(f"Another deployment service works on TRAINLEDGER_DATA_DIR {data_dir} already.")
            await asyncio.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
