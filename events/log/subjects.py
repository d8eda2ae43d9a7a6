"""Subjects of facts: `events.<context>.<aggregate id>`."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

import msgspec

ALL = "events.>"


def of_aggregate(context: str, aggregate_id: UUID) -> str:
    return f"events.{context}.{aggregate_id}"


def of_context(context: str) -> str:
    return f"events.{context}.*"


@lru_cache(maxsize=4_096)  # an aggregate's facts come close together
def parse(subject: str) -> tuple[str, UUID]:
    """The context and aggregate id. ValueError: not a subject of facts."""
    parts = subject.split(".")
    if len(parts) != 3 or parts[0] != "events":
        raise ValueError(f"{subject!r} is not events.<context>.<aggregate id>")
    return parts[1], msgspec.convert(parts[2], UUID)  # four times as fast as UUID itself
