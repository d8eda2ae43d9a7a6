"""The training service as a process's part."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from contracts.nodes import RegisterNode
from events.log import LogUnavailable
from events.log.jetstream import JetStreamLog
from services.runtime.checkpoints import read_checkpoint
from services.runtime.children.processes import boot_id
from services.runtime.dispatch import Dispatch
from services.runtime.nodes.gpus import NvmlGpus
from services.runtime.nodes.heartbeats import Heartbeats
from services.runtime.nodes.stored_files import StoredFiles
from services.runtime.only_one import only_one
from services.runtime.reporting import report_sources
from services.runtime.settings import Settings
from services.runtime.settings.kinds import SettingRefused
from services.runtime.settings.training import labels
from services.runtime.training_directory import training_directory
from services.runtime.wiring import bus
from services.training.assets import answer_asset_questions
from services.training.clearing import Clearing
from services.training.consumer import Checkpoint, Consumer
from services.training.executors.choice import choose
from services.training.files import Files, answer_file_questions
from services.training.gpus import RunGpus
from services.training.inputs import Inputs, remove_drafts
from services.training.lease import Lease, own_heartbeat
from services.training.node import Node
from services.training.presence import answer_status_questions, earlier_names, stay_known, stay_present
from services.training.slots import Slots

_log = logging.getLogger("trainledger.training")


async def run(settings: Settings) -> None:
    """Serves until cancelled; trainings go on without it. Raises SettingRefused or NotReachable."""
    lock = settings.data_dir / "training.lock"
    taken = f"Another training service works on TRAINLEDGER_DATA_DIR {settings.data_dir} already."
    async with only_one(lock, taken), bus(settings, f"training {settings.node}") as nc:
        root = await asyncio.to_thread(training_directory, settings)
        log = JetStreamLog(nc)
        own = await asyncio.to_thread(own_heartbeat, settings.data_dir, boot_id(), settings.node_heartbeat)
        lease = Lease(Heartbeats(nc), settings.node, own)
        await lease.take()
        checkpoint = settings.data_dir / "training.json"
        before = await asyncio.to_thread(read_checkpoint, checkpoint, Checkpoint)
        earlier = await earlier_names(log, settings.node, before.live)
        if before.name and await lease.was_ours(before.name):
            earlier.add(before.name)  # under which runs may have been asked for since
        earlier.discard(settings.node)
        await asyncio.to_thread(remove_drafts, root)
        executors = await choose(settings, root)
        description = RegisterNode(
            name=settings.node,
            labels=labels(settings.node_labels),
            executor=next(iter(executors)),
            training_directory=str(root),
        )
        clearing = Clearing(root, log)
        dispatch = Dispatch(report_sources(log, settings))
        gpus = NvmlGpus()
        slots = Slots(settings.concurrent_runs, by_gpu=settings.run_gpus is not None)
        node = Node(
            name=settings.node,
            log=log,
            dispatch=dispatch,
            js=nc.jetstream(),
            executors=executors,
            root=root,
            runs=settings.data_dir / "runs",
            grace=settings.run_stop_seconds,
            own_output=settings.run_output == "own",
            launch_retries=settings.launch_retries,
            slots=slots,
            gpus=RunGpus(log, dispatch, settings.node, gpus, slots, settings.run_gpus),
            earlier=frozenset(earlier),
            inputs=Inputs(root, settings.storage / "files", StoredFiles(nc)),
            clearing=clearing,
        )
        answering = [
            await answer_asset_questions(nc, settings.node, root),
            await answer_file_questions(nc, settings.node, Files(log, root, node.runs)),
            await answer_status_questions(nc, settings.node, gpus),
        ]
        _log.info("node %s trains in %s by the executor %s", settings.node, root, next(iter(executors)))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stay_present(lease, node.dispatch, description), name="heartbeats")
                for name in earlier:
                    tasks.create_task(stay_known(Lease(Heartbeats(nc), name, own), name), name=f"heartbeats of {name}")
                tasks.create_task(Consumer(node, checkpoint).run(), name="runs")
                tasks.create_task(clearing.run(), name="copies that no run uses")
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise
        finally:
            if nc.is_connected:
                for subscription in answering:
                    await subscription.unsubscribe()
                with suppress(LogUnavailable, SettingRefused):  # it is let go by and by, or another's already
                    await lease.release()
            for executor in executors.values():
                await executor.close()
