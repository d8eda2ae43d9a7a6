"""Settings of training."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from services.runtime.settings.kinds import Seconds, SettingRefused, Text
from services.runtime.settings.serving import ServingSettings

DOCUMENTED_TRAINING_DIR = Path("/data1/qwen2.5-14bxxxx")


def node_name(host: str) -> str:
    """A host name as one token of a NATS subject."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", host.partition(".")[0])[:64] or "node"


def labels(text: str | None) -> dict[str, str]:
    """Of `name=value,…`. Raises SettingRefused."""
    found: dict[str, str] = {}
    for part in (text or "").split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not equals or not re.fullmatch(r"[A-Za-z0-9_./-]{1,63}", name) or name in found or len(value) > 200:
            raise SettingRefused(
                f"TRAINLEDGER_NODE_LABELS has {part.strip()!r}, but must be like gpu=a100,site=sh, each name once."
            )
        found[name] = value
    return found


class TrainingSettings(ServingSettings, frozen=True, kw_only=True):
    """What a training service is told."""

    host_training_dir: Annotated[
        Path | None,
        Meta(
            title="HOST_TRAINING_DIR",
            description="Directory of datasets, configurations and training scripts; unset: "
            f"`{DOCUMENTED_TRAINING_DIR}` where it exists, else a copy of the example in the data directory",
        ),
    ] = None
    executor: Annotated[
        Literal["auto", "docker", "local"],
        Meta(
            title="EXECUTOR", description="Where trainings run; `auto` is docker where the container runs, else local"
        ),
    ] = "auto"
    docker_container_name: Annotated[
        Text, Meta(title="DOCKER_CONTAINER_NAME", description="Container that trainings run in")
    ] = "qwen2.5-14b-instruct_xpytorch_full_sft"
    docker_working_dir: Annotated[
        Text, Meta(title="DOCKER_WORKING_DIR", description="Working directory of trainings in the container")
    ] = "KTIP_Release_2.1.0/train/llm"
    start_command_template: Annotated[
        Text,
        Meta(
            title="START_COMMAND_TEMPLATE",
            description="How a training is started; fields `training_yaml_name`, `dataset_name`",
        ),
    ] = "bash run_train_full_sft.sh {training_yaml_name}"
    allow_start_command: Annotated[
        bool,
        Meta(
            title="ALLOW_START_COMMAND",
            description="Whether a request may bring its own start command, which is arbitrary execution",
        ),
    ] = False
    concurrent_runs: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            title="TRAINLEDGER_CONCURRENT_RUNS",
            description="Most trainings at a time on this machine, further ones wait in order; unset: any number",
        ),
    ] = None
    run_gpus: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | None,
        Meta(
            title="TRAINLEDGER_RUN_GPUS",
            description="How many GPUs each training gets for itself (`CUDA_VISIBLE_DEVICES`), from the same leases as "
            "deployments; without so many free ones it waits; unset: none is taken",
        ),
    ] = None
    max_wall_seconds: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            title="TRAINLEDGER_MAX_WALL_SECONDS",
            description="Longest that any training may run, then it is stopped and `failed`; unset: no bound",
        ),
    ] = None
    launch_retries: Annotated[
        Annotated[int, Meta(ge=0, le=100)],
        Meta(title="TRAINLEDGER_LAUNCH_RETRIES", description="How often a launch that failed is tried again"),
    ] = 0
    run_output: Annotated[
        Literal["own", "shared"],
        Meta(
            title="TRAINLEDGER_RUN_OUTPUT",
            description="`own`: each run is told an output directory of its own; `shared`: it writes where the YAML "
            "says, one run at a time",
        ),
    ] = "own"
    node: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")],
        Meta(
            title="TRAINLEDGER_NODE",
            description="Name of this machine among the training nodes; unset: its host name",
            extra={"allowed": "1 to 64 letters, digits, _ or -"},
        ),
    ] = msgspec.field(default_factory=lambda: node_name(platform.node()))
    node_labels: Annotated[
        str | None,
        Meta(
            title="TRAINLEDGER_NODE_LABELS",
            description="What else is to be known of this machine, like `gpu=a100,site=sh`",
        ),
    ] = None
    node_heartbeat: Annotated[
        Annotated[float, Meta(ge=0.1, le=60)],
        Meta(
            title="TRAINLEDGER_NODE_HEARTBEAT",
            description="Seconds between the heartbeats of this node; after three missing ones its name is free",
        ),
    ] = 5.0
    node_lost_after: Annotated[
        Annotated[float, Meta(ge=0)],
        Meta(
            title="TRAINLEDGER_NODE_LOST_AFTER",
            description="Seconds without a heartbeat after which a node is lost, and its runs, deployments and "
            "de-identification jobs are `failed`; 0: never",
        ),
    ] = 300.0
    run_wait_seconds: Annotated[
        Seconds,
        Meta(title="TRAINLEDGER_RUN_WAIT_SECONDS", description="How long `POST …/runs` waits for running or failed"),
    ] = 10.0
    run_stop_seconds: Annotated[
        Seconds,
        Meta(
            title="TRAINLEDGER_RUN_STOP_SECONDS",
            description="How long a training that is canceled, or ran too long, gets to end after TERM, then KILL",
        ),
    ] = 10.0
    run_log_lines: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)],
        Meta(title="TRAINLEDGER_RUN_LOG_LINES", description="Most log lines in the detail of a run, the newest"),
    ] = 500
