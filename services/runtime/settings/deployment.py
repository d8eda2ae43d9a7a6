"""Settings of deployments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from services.runtime.settings.deid import DeidSettings
from services.runtime.settings.kinds import Seconds, SettingRefused, Text

_Deadline = Annotated[float, Meta(gt=0, le=1e6)]


class DeploymentSettings(DeidSettings, frozen=True, kw_only=True):
    """What a deployment service is told."""

    deploy_log_dir: Annotated[
        Path, Meta(title="DEPLOY_LOG_DIR", description="Directory of the logs of served models")
    ] = Path("deploy_logs")
    deploy_log_bytes: Annotated[
        Annotated[int, Meta(ge=2**20, le=2**50)],
        Meta(
            title="TRAINLEDGER_DEPLOY_LOG_BYTES",
            description="How much of a running server's log is kept on the disk: about so much of the newest",
        ),
    ] = 2**30
    vllm_cmd_template: Annotated[
        Text,
        Meta(
            title="VLLM_CMD_TEMPLATE",
            description="How a model is served; fields `model_path`, `host`, `port`, `gpu_id`, `extra_args`",
        ),
    ] = "vllm serve {model_path} --host {host} --port {port} {extra_args}"
    models_dir: Annotated[
        Path | None,
        Meta(
            title="TRAINLEDGER_MODELS_DIR",
            description="Where servers of models start, and so where a relative `model_path` is looked up; unset: "
            "the training directory",
        ),
    ] = None
    deploy_host: Annotated[
        Text, Meta(title="TRAINLEDGER_DEPLOY_HOST", description="Address that models are served on")
    ] = "127.0.0.1"
    deploy_ports: Annotated[
        Text, Meta(title="TRAINLEDGER_DEPLOY_PORTS", description="Ports that models are served on, both ends included")
    ] = "8000-8999"
    deploy_wait_seconds: Annotated[
        Seconds,
        Meta(
            title="TRAINLEDGER_DEPLOY_WAIT_SECONDS",
            description="How long `POST /deployments` waits for the server's process to run or to have failed",
        ),
    ] = 10.0
    deploy_start_seconds: Annotated[
        _Deadline,
        Meta(
            title="TRAINLEDGER_DEPLOY_START_SECONDS",
            description="How long a server may take until it is healthy for the first time; large models load long",
        ),
    ] = 1800.0
    deploy_liveness_seconds: Annotated[
        _Deadline,
        Meta(
            title="TRAINLEDGER_DEPLOY_LIVENESS_SECONDS",
            description="How long a server that was healthy may be unhealthy before it is stopped and has failed",
        ),
    ] = 120.0
    deploy_stop_seconds: Annotated[
        Seconds,
        Meta(
            title="TRAINLEDGER_DEPLOY_STOP_SECONDS",
            description="How long a server gets to end after TERM; then `DELETE` answers 409, or kills with `force`",
        ),
    ] = 10.0
    deploy_restarts: Annotated[
        Annotated[int, Meta(ge=0, le=1000)],
        Meta(
            title="TRAINLEDGER_DEPLOY_RESTARTS",
            description="How often in a row a failing server with `restart_policy: on-failure` is started again",
        ),
    ] = 5


def port_range(text: str) -> range:
    """Of `first-last`, or of one port. Raises SettingRefused."""
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text.strip())
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise SettingRefused(f"TRAINLEDGER_DEPLOY_PORTS is {text!r}, but must be like 8000-8999.")
    return range(first, last + 1)
