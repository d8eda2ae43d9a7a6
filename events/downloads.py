"""Downloads of raw data: facts only, each in an aggregate of its own, so that reading contends with nothing."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from events.event import Event


class DatasetFileDownloaded(Event, frozen=True, kw_only=True):
    """The fact's actor was given bytes from `start` up to, not including, `end` of an uploaded file.

    Recorded before the first of them goes out.
    """

    context: ClassVar[str] = "downloads"
    dataset_id: UUID
    upload_id: UUID
    sha256: str
    start: int
    end: int
