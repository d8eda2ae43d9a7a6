"""NATS subjects of commands, node questions and signals between services (event subjects: `events.log.subjects`)."""

from __future__ import annotations

from uuid import UUID

COMMANDS = "commands.>"  # commands.<user>.<context>.<Command>, stream COMMANDS
ASKS = "ask.>"  # ask.<user>.<context>.<Command>, request/reply
NODE_ASSETS = "nodes.assets"  # AssetQuestion -> AssetReport, answered by every training service
PROJECTED = "projection.position"  # the projector says how far the read models are: decimal text


def telemetry(run_id: UUID, attempt: int) -> str:
    return f"telemetry.runs.{run_id}.{attempt}"
