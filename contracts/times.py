"""The three spellings of a moment that clients of the documented API expect."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec


def naive_iso(moment: datetime) -> str:
    """UTC without a zone suffix, always with microseconds: `2024-04-12T08:45:09.192384` (projects, runs, logs)."""
    text: str = msgspec.to_builtins(moment.astimezone(UTC))[: -len("Z")]  # a tenth of isoformat's time
    return text if moment.microsecond else f"{text}.000000"


def zulu_iso(moment: datetime) -> str:
    """UTC with `Z`, milliseconds: `2024-04-12T08:50:31.027Z` (datasets, uploads, training configuration)."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def unix_seconds(moment: datetime) -> float:
    """Seconds since 1970 as a float (deployments)."""
    return moment.timestamp()
