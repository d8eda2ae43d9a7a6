"""NATS subjects of commands, node questions and signals between services (event subjects: `events.log.subjects`)."""

from __future__ import annotations

from uuid import UUID

COMMANDS = "commands.>"  # commands.<user>.<context>.<Command>, stream COMMANDS
NODE_ASSETS = "nodes.assets"  # AssetQuestion -> AssetReport, answered by every training service
STORED_FILES = "storage.files"  # StoredFileQuestion -> FileAnswer in a header and the bytes, by the dataset service
NODE_ROOM = "nodes.room"  # RoomQuestion -> RoomReport, answered by every deployment service
NODE_GPUS = "nodes.gpus"  # empty -> NodeGpus, answered by every deployment service
PROJECTED = "projection.position"  # the projector says how far the read models are: decimal text
RUNS_PROJECTED = "projection.runs"  # ... and of which runs there is more to read: JSON array of ids, empty for any


def deid_progress(job_id: UUID) -> str:
    """Empty -> JobProgress, answered by the de-identification service that works on the job."""
    return f"deid.jobs.{job_id}"


def telemetry(run_id: UUID, attempt: int) -> str:
    return f"telemetry.runs.{run_id}.{attempt}"


def refill(run_id: UUID, attempt: int) -> str:
    """Apart from the subject whose last message tells how much of the output was published."""
    return f"telemetry.refills.{run_id}.{attempt}"


def node_status(node: str) -> str:
    """Empty -> NodeAnswer, answered by that node's training service."""
    return f"nodes.{node}.status"


def node_room(node: str) -> str:
    """RoomQuestion -> RoomReport, answered by that node's deployment service; so are the next two."""
    return f"nodes.{node}.room"


def node_deployments(node: str) -> str:
    """StateQuestion -> StateReport."""
    return f"nodes.{node}.deployments"


def node_deployment_logs(node: str) -> str:
    """LogQuestion -> LogAnswer in a header and the bytes."""
    return f"nodes.{node}.deployment-logs"


def node_files(node: str) -> str:
    """FileQuestion -> FileAnswer in a header and the bytes, answered by that node's training service."""
    return f"nodes.{node}.files"
