"""Settings of deployments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from services.runtime.settings.deid import DeidSettings
from services.runtime.settings.kinds import Text


class DeploymentSettings(DeidSettings, frozen=True, kw_only=True):
    """What a deployment service is told."""

    deploy_log_dir: Annotated[
        Path, Meta(title="DEPLOY_LOG_DIR", description="Directory of the logs of served models")
    ] = Path("deploy_logs")
    vllm_cmd_template: Annotated[
        Text,
        Meta(
            title="VLLM_CMD_TEMPLATE",
            description="How a model is served; fields `model_path`, `port`, `gpu_id`, `extra_args`",
        ),
    ] = "vllm serve {model_path} --port {port} {extra_args}"
