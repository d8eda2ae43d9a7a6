"""What kinds of files there are, and how one is cut into chunks that nothing crosses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from contracts import deid
from contracts.deid import FileFormat
from services.runtime.deid.files.json_arrays import Commas
from services.runtime.deid.refusals import FileRefused
from services.runtime.delimited import TAB, delimiter_of_table, sample_of

LONGEST_RECORD = 64 * 1024 * 1024
"""Bytes of a line, of a CSV record, of an element of a JSON array, or of another JSON document as a whole."""

BLOCK = 256 * 1024
"""Bytes of plain text after which the line that they end in ends a block: blocks are searched each by itself."""
CONTEXT = 8 * 1024
"""Bytes before a block that tell what it begins with: a key's frame, for instance, or words before a value."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_HEAD = 64 * 1024
HAS_NUL = (
    "含有 NUL 字节，可能是 UTF-16 或 UTF-32 编码，请转为 UTF-8",
    "has a NUL byte, as UTF-16 and UTF-32 have them; make it UTF-8",
)
"""Valid as UTF-8, but nothing would be found in text of another encoding."""


def format_of(name: str) -> FileFormat:
    """By the ending of a file's name. Raises FileRefused where it tells nothing."""
    kind = deid.format_of(name)
    if kind is None:
        known = ", ".join(deid.FORMATS)
        raise FileRefused(f"无法从文件名判断格式，支持 {known}", f"the name tells no format; known are {known}")
    return kind


def by_content(source: Path, kind: FileFormat) -> tuple[FileFormat, str]:
    """JSON that is JSONL, and tables that others separate than their name says; with the delimiter of a table."""
    if kind == "json":
        return _json_by_content(source), ""
    if kind not in ("csv", "tsv"):
        return kind, ""
    with source.open("rb") as file:
        head = file.read(_HEAD + 1)
    sample = sample_of(head.removeprefix(BYTE_ORDER_MARK), whole=len(head) <= _HEAD)
    delimiter = delimiter_of_table(sample, TAB if kind == "tsv" else ",")
    return "tsv" if delimiter == TAB else "csv", delimiter


def _json_by_content(source: Path) -> FileFormat:
    """JSONL where what is called JSON goes on after a first line that is a whole value, as no JSON document does."""
    with source.open("rb") as file:
        lines = (line.removeprefix(BYTE_ORDER_MARK) for line in iter(lambda: file.readline(LONGEST_RECORD), b""))
        solid = (line for line in lines if not line.isspace())
        first = next(solid, b"")
        second = next(solid, b"") if first.endswith(b"\n") else b""  # the whole document may be one line
    if not second:
        return "json"
    try:
        msgspec.json.decode(first, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return "json"
    return "jsonl"


def chunks(file: BinaryIO, kind: FileFormat, size_at: Callable[[int], int], delimiter: str = ",") -> Iterator[bytes]:
    """Stretches that each end with a record, of about as many bytes as `size_at` says for the place where one begins.

    Raises FileRefused where a record is too long.
    """
    if kind == "json" and is_array(file):
        yield from _of_elements(file, size_at)
    elif kind == "json":
        content = file.read(LONGEST_RECORD + 1)
        if len(content) > LONGEST_RECORD:
            raise _too_long_a_document()
        if content:
            yield content
    elif kind == "csv":
        yield from _of_rows(file, _quoted_cell(delimiter), size_at)
    elif kind == "text":
        yield from _of_blocks(file, size_at)
    else:
        yield from _of_lines(file, size_at)


def is_array(file: BinaryIO) -> bool:
    """Whether what is left of the file begins as a JSON array does."""
    start = file.tell()
    while (head := file.read(_HEAD)) and head.isspace():
        pass
    file.seek(start)
    return head.lstrip().startswith(b"[")


def _of_elements(file: BinaryIO, size_at: Callable[[int], int]) -> Iterator[bytes]:
    """All but the last, and only those, end with a comma, the one after an element; the last may be empty."""
    commas, held = Commas(), list[bytes]()
    start = element = place = file.tell()
    while block := file.read(BLOCK):
        ends = commas.ends(block) + place
        if np.diff(ends, prepend=element, append=place + len(block)).max() > LONGEST_RECORD:
            raise too_long()
        element = ends[-1] if len(ends) else element
        while (following := np.searchsorted(ends, start + max(size_at(start), 1))) < len(ends):
            end = int(ends[following])
            yield b"".join([*held, block[: end - place]])
            block, held, start, place = block[end - place :], [], end, end
        held.append(block)
        place += len(block)
    yield (rest := b"".join(held))
    if rest.endswith(b","):
        yield b""


def _of_lines(file: BinaryIO, size_at: Callable[[int], int]) -> Iterator[bytes]:
    """Where one ends is looked up first, so that it is read once and never copied."""
    start = file.tell()
    while True:
        size = max(size_at(start), 1)
        file.seek(start + size - 1)
        size += max(len(file.readline(LONGEST_RECORD + 1)) - 1, 0)
        file.seek(start)
        chunk = file.read(size)
        if not chunk:
            return
        if len(chunk) - (chunk.rfind(b"\n", 0, len(chunk) - 1) + 1) > LONGEST_RECORD:
            raise too_long()
        yield chunk
        start += len(chunk)


def _of_blocks(file: BinaryIO, size_at: Callable[[int], int]) -> Iterator[bytes]:
    place, held, size = file.tell(), list[bytes](), 0
    for block in _of_lines(file, lambda _: BLOCK):
        held.append(block)
        size += len(block)
        if size >= size_at(place):
            yield b"".join(held)
            place, held, size = place + size, [], 0
    if held:
        yield b"".join(held)


def blocks(chunk: bytes) -> Iterator[bytes]:
    """Those of a chunk of plain text, which do not depend on what the chunks are."""
    start = 0
    while start < len(chunk):
        end = chunk.find(b"\n", start + BLOCK - 1) + 1 or len(chunk)
        yield chunk[start:end]
        start = end


def _quoted_cell(delimiter: str) -> re.Pattern[bytes]:
    """A quote opens a cell at its beginning only, anywhere else it is text. The last may not be complete."""
    return re.compile(rb'"(?<![^%b\n]")[^"]*+(?:""[^"]*+)*+(?:"|\Z)' % delimiter.encode())


def _of_rows(file: BinaryIO, quoted_cell: re.Pattern[bytes], size_at: Callable[[int], int]) -> Iterator[bytes]:
    left = b""
    # A record that goes on and on is looked at in stretches that grow with it.
    while block := file.read(min(max(size_at(file.tell() - len(left)), len(left)), LONGEST_RECORD + 1 - len(left))):
        left += block
        end = _last_end(left, quoted_cell)
        if end:
            yield left[:end]
            left = left[end:]
        elif len(left) > LONGEST_RECORD:
            raise too_long()
    if left:
        yield left


def _last_end(content: bytes, quoted_cell: re.Pattern[bytes]) -> int:
    """After the last record of CSV that ends in a content that begins with one, as `csv.reader` reads it; else 0."""
    before = len(content)
    for start, end in reversed([cell.span() for cell in quoted_cell.finditer(content)]):
        if found := content.rfind(b"\n", end, before) + 1:
            return found
        before = start
    return content.rfind(b"\n", 0, before) + 1


def too_long() -> FileRefused:
    limit = LONGEST_RECORD // 2**20
    return FileRefused(f"单条记录超过 {limit} MiB", f"a record has more than {limit} MiB")


def _too_long_a_document() -> FileRefused:
    limit = LONGEST_RECORD // 2**20
    return FileRefused(
        f"JSON 文档超过 {limit} MiB：请改为记录的数组，或每行一条记录的 JSONL，大小不限",
        f"a JSON document has more than {limit} MiB; as an array of records, or JSONL, it may have any size",
    )
