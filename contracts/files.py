"""Files asked for piece by piece: of a run from the node that owns them, of the store from who holds it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

LONGEST_PIECE = 512 * 1024  # bytes in one answer

ANSWER = "Trainledger-File"  # the header of a reply that holds a FileAnswer; its body is the bytes


class FileQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for at most `length` bytes from byte `offset` of a file that is on record as an artifact of a run."""

    run_id: UUID
    artifact_id: UUID
    offset: int
    length: int


class StoredFileQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for at most `length` bytes from byte `offset` of a finished file in the store of uploads."""

    stored_name: str
    offset: int
    length: int


class FileAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`size` in bytes and `modified` (nanoseconds since 1970) are those of the file at the moment of this answer.

    `unknown`: no such artifact is on record, or that is no name of a stored file; `outside`: its path leads out of the
    node's directories.
    """

    status: Literal["ok", "unknown", "missing", "directory", "outside", "unreadable"]
    size: int = 0
    modified: int = 0
