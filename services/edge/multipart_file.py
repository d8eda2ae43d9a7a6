"""The one file of a multipart/form-data body, as it comes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias
from urllib.parse import unquote

import multipart

from contracts.problems import InvalidBody, Refused, Wrong
from services.edge.context import AnyRequest
from services.edge.uploading import pieces
from services.runtime.storage import check_file_name

FIELD = "file"
AROUND = 64 * 1024  # bytes of a body that are no file: boundaries, headers
_LONGEST_HEADER = 48 * 1024
_EXTENDED = re.compile(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)

# Of the parser: a segment begins, bytes of it, or (none) it has ended.
Event: TypeAlias = Any


class FormFile:
    """A form whose only field is `file`. `open` reads up to the file's bytes, `chunks` gives them.

    Nothing is kept: what was given is the caller's. Whoever breaks off sooner leaves the rest to the server.
    """

    def __init__(self, request: AnyRequest) -> None:
        self._stream = pieces(request)
        self._parser = multipart.PushMultipartParser(
            _boundary(request.headers.get("content-type", "")), max_header_size=_LONGEST_HEADER
        )
        self._events = self._parsed()

    async def open(self) -> str:
        """The file's name. Raises Refused: file_missing, file_name_invalid, multipart_invalid, upload_stalled."""
        async for event in self._events:
            if isinstance(event, multipart.MultipartSegment):
                try:
                    return self._name(event)
                except UnicodeDecodeError as error:
                    raise Refused("multipart_invalid") from error
        raise Refused("file_missing")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file, until the form has ended. Raises Refused: several_files, multipart_invalid, upload_stalled."""
        async for event in self._events:
            if isinstance(event, multipart.MultipartSegment):
                raise Refused("several_files") if event.name == FIELD else _unknown(event)
            if event:
                yield bytes(event)

    async def _parsed(self) -> AsyncIterator[Event]:
        around = 0
        async for data in self._stream:
            around += len(data)
            for event in self._parse(data):
                if isinstance(event, bytes | bytearray):
                    around -= len(event)
                yield event
            if around > AROUND:
                raise Refused("multipart_invalid")
        for event in self._parse(b""):
            yield event

    def _parse(self, data: bytes) -> Iterator[Event]:
        """No data: the body has ended, and so must the form."""
        try:
            yield from self._parser.parse(data)
        except (multipart.MultipartError, UnicodeError) as error:
            raise Refused("multipart_invalid") from error

    @staticmethod
    def _name(segment: multipart.MultipartSegment) -> str:
        if segment.name != FIELD:
            raise _unknown(segment)
        disposition = segment.header("Content-Disposition", "")
        filename = _sent(disposition) or _extended(disposition)
        if not filename:
            raise Refused("file_missing")
        return check_file_name(filename)


def _boundary(content_type: str) -> str:
    kind, options = multipart.parse_options_header(content_type)
    if kind != "multipart/form-data":
        raise Refused("unsupported_media_type", expected="multipart/form-data")
    boundary = options.get("boundary", "")
    if not boundary or len(boundary) > 200:
        raise Refused("multipart_invalid")
    return str(boundary)


def _sent(disposition: str) -> str | None:
    """The name in full: the parser itself would cut a path of Windows down to its last part."""
    _, options = multipart.parse_options_header(
        disposition, unquote=lambda value, _: multipart.content_disposition_unquote(value)
    )
    name: str | None = options.get("filename")
    return name


def _extended(disposition: str) -> str | None:
    """RFC 5987, which older clients use for names that are not ASCII, and RFC 7578 forbids."""
    found = _EXTENDED.search(disposition)
    return None if found is None else unquote(found[1], errors="strict")


def _unknown(segment: multipart.MultipartSegment) -> Refused:
    name = "".join(character if character.isprintable() else "?" for character in segment.name[:100])
    return InvalidBody(Wrong(f"/{name}", "未知字段，应只有 file", "is not a known field, there is only `file`"))
