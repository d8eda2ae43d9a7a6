"""The training configuration: facts folded into the table `train_configs`."""

from __future__ import annotations

from events.train_config import TrainConfigDeleted, TrainConfigUploaded, version_id
from projections.rows import Rows
from projections.tables import train_configs


def on_train_config_uploaded(rows: Rows, fact: TrainConfigUploaded) -> None:
    rows.add(
        train_configs,
        str(version_id(fact.version)),
        version=fact.version,
        filename=fact.file.filename,
        stored_name=fact.file.stored_name,
        size=fact.file.size,
        sha256=fact.file.sha256,
        actor=rows.actor,
        uploaded_at=rows.time,
    )


def on_train_config_deleted(rows: Rows, fact: TrainConfigDeleted) -> None:
    rows.change(train_configs, str(version_id(fact.version)), deleted_at=rows.time)
