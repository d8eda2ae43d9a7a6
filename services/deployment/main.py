"""The deployment service as a process's part."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

from events.log.jetstream import JetStreamLog
from services.deployment.answering import answer_questions
from services.deployment.consumer import Consumer
from services.deployment.health import Health
from services.deployment.node import Node
from services.deployment.presence import SignsOfLife
from services.runtime.addresses import bound
from services.runtime.dispatch import Dispatch
from services.runtime.durable_files import write_durably
from services.runtime.handover import make_directory
from services.runtime.nodes.gpus import NvmlGpus, SharedLook
from services.runtime.only_one import only_one
from services.runtime.reporting import report_sources
from services.runtime.settings import Settings
from services.runtime.settings.deployment import port_range
from services.runtime.settings.training import DOCUMENTED_TRAINING_DIR
from services.runtime.wiring import bus


async def run(settings: Settings) -> None:
    """Serves until cancelled; what is deployed goes on without it. Raises SettingRefused or NotReachable."""
    await asyncio.to_thread(_check, settings)
    lock = settings.data_dir / "deployment.lock"
    taken = f"Another deployment service works on TRAINLEDGER_DATA_DIR {settings.data_dir} already."
    async with only_one(lock, taken), bus(settings, f"deployment {settings.node}") as nc:
        log = JetStreamLog(nc)
        node = Node(
            name=settings.node,
            service=await asyncio.to_thread(_identity, settings.data_dir),
            log=log,
            dispatch=Dispatch(report_sources(log, settings)),
            devices=SharedLook(NvmlGpus()),
            health=Health(),
            attempts=settings.data_dir / "deployments",
            logs=settings.deploy_log_dir,
            workdir=await asyncio.to_thread(_workdir, settings),
            template=settings.vllm_cmd_template,
            host=settings.deploy_host,
            ports=tuple(port for port in port_range(settings.deploy_ports) if port != settings.port),
            start_seconds=settings.deploy_start_seconds,
            liveness_seconds=settings.deploy_liveness_seconds,
            stop_seconds=settings.deploy_stop_seconds,
            restarts=settings.deploy_restarts,
            log_bytes=settings.deploy_log_bytes,
        )
        signs = SignsOfLife(nc, node, settings.node_heartbeat)
        await signs.give()  # before anything may be placed here: what is never heard of is never missed
        answering = await answer_questions(nc, node)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(signs.keep(), name="heartbeats")
                tasks.create_task(Consumer(node, settings.data_dir / "deployment.json").run(), name="deployments")
        except BaseExceptionGroup as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]
            raise error from None
        finally:
            if nc.is_connected:
                for subscription in answering:
                    await subscription.unsubscribe()
            await node.health.close()


def _check(settings: Settings) -> None:
    """What only trying tells, before a deployment would. Raises SettingRefused."""
    make_directory(settings.deploy_log_dir, "DEPLOY_LOG_DIR")
    bound(settings.deploy_host, 0, "TRAINLEDGER_DEPLOY_HOST").close()


def _workdir(settings: Settings) -> Path:
    """Where a relative path of a model is looked up: where trainings look up theirs, unless it is told otherwise."""
    told = settings.models_dir or settings.host_training_dir
    candidates = (DOCUMENTED_TRAINING_DIR, settings.data_dir / "training")
    return told or next((found for found in candidates if found.is_dir()), settings.data_dir)


def _identity(data_dir: Path) -> UUID:
    """Of the service of this data directory, which keeps it in `deployment-id`."""
    file = data_dir / "deployment-id"
    try:
        return UUID(file.read_text().strip())
    except (FileNotFoundError, ValueError):
        identity = uuid4()
        write_durably(file, str(identity).encode())
        return identity
