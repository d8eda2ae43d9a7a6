"""Which format a file has, by its first bytes; its name decides only where these leave it open."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from services.datasets.checking.columns import ENCRYPTED, MAGIC
from services.datasets.checking.encodings import BYTE_ORDER_MARK, is_utf16
from services.datasets.checking.json_records import NotJson, decode
from services.datasets.checking.limits import Limits
from services.runtime.delimited import delimiter_of, delimiter_of_table, first_lines, sample_of

HEAD = 1024 * 1024  # bytes that are looked at

Kind = Literal["jsonl", "json_array", "json_object", "table", "parquet", "text", "other", "binary", "utf16"]

_LINES = (".jsonl", ".ndjson", ".jsonlines")
_TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PROSE = (".txt", ".md", ".text", ".log")
# Kinds of files that are made to hold others or no text: nothing is claimed of what is in them.
_CONTAINERS = (
    b"\x1f\x8b",  # gzip
    b"PK\x03\x04",  # zip, xlsx
    b"\x28\xb5\x2f\xfd",  # zstd
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"ARROW1",
    b"ORC",
    b"Obj\x01",  # avro
    b"\x89HDF\r\n\x1a\n",
    b"SQLite format 3\x00",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # jpeg
    b"GIF8",
    b"RIFF",
    b"%PDF-",
)
_BEGINNING = re.compile(rb'\s*+(?:\[\s*+\{|\{\s*+["}]|[\[{]\s*+[\r\n]|\[\s*+$)')  # of a document of records
_TAR_AT = 257
_MOST_NULLS = 0.001  # of the bytes of a text


class Recognised(NamedTuple):
    kind: Kind
    delimiter: str = ","


def recognise(head: bytes, name: str, limits: Limits, *, whole: bool) -> Recognised:
    """`head` are the first HEAD bytes of the file, or all of it: `whole`."""
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if head.startswith((MAGIC, ENCRYPTED)) or suffix == ".parquet":
        return Recognised("parquet")
    if is_utf16(head):
        return Recognised("utf16")
    known = suffix in (*_LINES, *_TABLES, *_PROSE, ".json")
    if not known and (head.startswith(_CONTAINERS) or head[_TAR_AT : _TAR_AT + 5] == b"ustar"):
        return Recognised("other")
    if head.count(0) > max(_MOST_NULLS * len(head), 8):
        return Recognised("binary")
    text = head.removeprefix(BYTE_ORDER_MARK)
    json = _json_kind(text, suffix, limits, whole)
    if json is not None:
        return Recognised(json)
    if suffix in _PROSE:
        return Recognised("text")
    sample = sample_of(text, whole=whole)
    if suffix in _TABLES:
        return Recognised("table", delimiter_of_table(sample, _TABLES[suffix]))
    delimiter = delimiter_of(sample)
    if delimiter is not None and len(sample) > 1 and _reads_as_header(sample[0], delimiter):
        return Recognised("table", delimiter)
    return Recognised("text")


def _json_kind(text: bytes, suffix: str, limits: Limits, whole: bool) -> Kind | None:
    """None where it is no JSON, or such that neither its name nor its beginning would make a reader expect any."""
    start = text.lstrip(b" \t\r\n")[:1]
    if start not in (b"{", b"["):
        return "jsonl" if suffix in _LINES else "json_array" if suffix == ".json" else None
    document: Kind = "json_array" if start == b"[" else "json_object"
    first, *following = [line.strip() for line in first_lines(text, whole=whole)] or [b""]
    is_value = _is_value(first, limits)
    if suffix not in (*_LINES, ".json") and not is_value and not _BEGINNING.match(text):
        return None
    if not first:  # no line ends in what is at hand
        return document if start == b"[" or suffix == ".json" else "jsonl"
    if is_value:
        return document if not following and (start == b"[" or suffix == ".json") else "jsonl"
    objects = sum(_is_object(line, limits) for line in following)
    by_line = 2 * objects > len(following) or (start == b"{" and suffix in _LINES)
    return "jsonl" if by_line else document


def _is_value(line: bytes, limits: Limits) -> bool:
    try:
        return isinstance(decode(line, limits), dict | list)
    except NotJson as error:
        return str(error) not in ("json_syntax", "not_utf8", "null_byte")


def _is_object(line: bytes, limits: Limits) -> bool:
    return line.startswith(b"{") and _is_value(line, limits)


def _reads_as_header(line: str, delimiter: str) -> bool:
    """Names: short, each once, none of them a number or a sentence."""
    names = [name.strip().strip('"') for name in line.split(delimiter)]
    return len(set(names)) == len(names) and all(
        0 < len(name) <= 64 and not name.replace(".", "").replace("-", "").isdigit() and name[-1] not in "。.!?！？；"
        for name in names
    )
