"""Bytes of a file that lies on a node, on their way to a client: one piece in hand, one on its way."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator
from urllib.parse import quote
from uuid import UUID

import msgspec

from contracts.files import LONGEST_PIECE, FileAnswer
from contracts.problems import Refused
from contracts.runs import Artifact
from services.runtime.nodes.files import NodeFiles, Piece

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


class Broken(Exception):
    """The file is not what is on record, and the answer began: it ends without its last bytes, as clients notice."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was recorded as an artifact, and the node it lies on."""

    run_id: UUID
    node: str
    artifact: Artifact


class Span(msgspec.Struct, frozen=True):
    """Bytes from `start` up to, not including, `end`; `partial` where a range was asked for."""

    start: int
    end: int
    partial: bool = False


def span_of(header: str | None, size: int) -> Span:
    """RFC 9110, 14.2: a single range; several, and what is no range, are answered with the whole.

    Raises Refused (range_not_satisfiable).
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or (not found[1] and not found[2]) or (found[1] and found[2] and int(found[2]) < int(found[1])):
        return Span(0, size)
    if not found[1]:
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if start >= end:
        raise Refused("range_not_satisfiable", size=size)
    return Span(start, end, partial=True)


def matches(if_none_match: str, etag: str) -> bool:
    """RFC 9110, 13.1.2: whether the client has it."""
    candidates = {candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")}
    return etag in candidates or "*" in candidates


def disposition(name: str) -> str:
    """RFC 6266: a name in ASCII for old clients, and the name itself."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%/;]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def check(source: Source, answer: FileAnswer) -> None:
    """Raises Refused where the node cannot give what is on record."""
    artifact, where = source.artifact, {"node": source.node, "path": source.artifact.path}
    match answer.status:
        case "unknown":
            raise Refused("artifact_not_found", artifact_id=artifact.id)
        case "missing":
            raise Refused("artifact_missing", **where)
        case "directory":
            raise Refused("artifact_is_directory", name=artifact.name, **where)
        case "outside" | "unreadable":
            raise Refused("artifact_unreadable", **where)
    if answer.size != artifact.size:
        raise Refused("artifact_changed", path=artifact.path)


async def first_piece(files: NodeFiles, source: Source, span: Span) -> Piece:
    """Raises Refused where there will be no more."""
    piece = await _piece(files, source, span.start, span.end)
    check(source, piece.answer)
    return piece


async def content(files: NodeFiles, source: Source, span: Span, first: Piece) -> AsyncGenerator[bytes, None]:
    """The bytes of the span. Of a whole file the last piece is sent only once its hash is what is on record. Broken."""
    whole = span.start == 0 and span.end == source.artifact.size and source.artifact.sha256 is not None
    digest = hashlib.sha256()
    piece, position = first, span.start
    while position < span.end:
        if not piece.data or (piece.answer.size, piece.answer.modified) != (first.answer.size, first.answer.modified):
            raise Broken(f"{source.artifact.path} was changed while it was read")
        position += len(piece.data)
        ahead = asyncio.create_task(_piece(files, source, position, span.end)) if position < span.end else None
        try:
            if whole:
                await asyncio.to_thread(digest.update, piece.data)
                if ahead is None and digest.hexdigest() != source.artifact.sha256:
                    raise Broken(f"{source.artifact.path} does not have the recorded SHA-256")
            yield piece.data
            if ahead is not None:
                piece = await ahead
        finally:
            if ahead is not None and not ahead.done():
                ahead.cancel()


async def _piece(files: NodeFiles, source: Source, start: int, end: int) -> Piece:
    length = min(end - start, LONGEST_PIECE)
    return await files.piece(source.node, source.run_id, source.artifact.id, start, length)
