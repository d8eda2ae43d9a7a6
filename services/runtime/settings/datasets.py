"""Settings of datasets and uploads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from contracts.train_config import LARGEST
from services.runtime.settings.training import TrainingSettings


class DatasetSettings(TrainingSettings, frozen=True, kw_only=True):
    """What processes that store or read uploaded files are told."""

    storage_dir: Annotated[
        Path | None,
        Meta(
            title="TRAINLEDGER_STORAGE_DIR",
            description="Directory of uploaded files, one and the same for all edges; unset: `storage` in the data "
            "directory",
        ),
    ] = None
    upload_limit_bytes: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(title="TRAINLEDGER_UPLOAD_LIMIT_BYTES", description="Largest file of `PUT /v1/datasets/{id}/files`"),
    ] = 104_857_600
    train_config_limit_bytes: Annotated[
        Annotated[int, Meta(ge=1, le=LARGEST)],
        Meta(
            title="TRAINLEDGER_TRAIN_CONFIG_LIMIT_BYTES",
            description="Largest training configuration (YAML), at most 5 MB",
        ),
    ] = LARGEST
    resumable_limit_bytes: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(title="TRAINLEDGER_RESUMABLE_LIMIT_BYTES", description="Largest file of a resumable upload (tus)"),
    ] = 1_099_511_627_776
    resumable_hours: Annotated[
        Annotated[float, Meta(gt=0, le=8760)],
        Meta(
            title="TRAINLEDGER_RESUMABLE_HOURS",
            description="How long an unfinished resumable upload is kept after its last byte",
        ),
    ] = 168.0

    @property
    def storage(self) -> Path:
        """The directory of uploaded files, whether it was set or not."""
        return self.data_dir / "storage" if self.storage_dir is None else self.storage_dir.absolute()
