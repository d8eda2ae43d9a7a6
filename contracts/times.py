"""The three spellings of a moment that clients of the documented API expect."""

from __future__ import annotations

from datetime import UTC, datetime


def naive_iso(moment: datetime) -> str:
    """UTC without a zone suffix, always with microseconds: `2024-04-12T08:45:09.192384` (projects, runs, logs)."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def zulu_iso(moment: datetime) -> str:
    """UTC with `Z`, milliseconds: `2024-04-12T08:50:31.027Z` (datasets, uploads, training configuration)."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def unix_seconds(moment: datetime) -> float:
    """Seconds since 1970 as a float (deployments)."""
    return moment.timestamp()
