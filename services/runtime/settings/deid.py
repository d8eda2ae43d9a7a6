"""Settings of de-identification."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from services.runtime.settings.datasets import DatasetSettings


class DeidSettings(DatasetSettings, frozen=True, kw_only=True):
    """What processes that de-identify are told."""

    deid_key_file: Annotated[
        Path | None,
        Meta(
            title="TRAINLEDGER_DEID_KEY_FILE",
            description="File of the secret that pseudonyms derive from, the same on all machines; unset: `deid.key` "
            "in the data directory, made at the first start. Without it nothing can be reversed",
        ),
    ] = None
    deid_texts: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(title="TRAINLEDGER_DEID_TEXTS", description="Most texts of `POST /v1/deidentify:test`"),
    ] = 1_000
    deid_text_bytes: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(title="TRAINLEDGER_DEID_TEXT_BYTES", description="Largest text of `POST /v1/deidentify:test`, in UTF-8"),
    ] = 262_144
    deid_processes: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None,
        Meta(
            title="TRAINLEDGER_DEID_PROCESSES",
            description="Processes that work on the files of one job; unset: half of the cores",
        ),
    ] = None
