"""One file from its first bytes to a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from services.datasets.checking.columns import check_columns
from services.datasets.checking.findings import Problem, Verdict, invalid
from services.datasets.checking.json_records import check_document, check_lines
from services.datasets.checking.limits import Limits
from services.datasets.checking.recognising import HEAD, recognise
from services.datasets.checking.tables import check_table
from services.datasets.checking.texts import check_text


def check_file(path: Path, name: str, limits: Limits | None = None) -> Verdict:
    """`name` is what its uploader calls it. Raises OSError where it cannot be read, MemoryError."""
    limits = limits or Limits()
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return invalid(None, "empty")
    kind, delimiter = recognise(head, name, limits, whole=len(head) < HEAD)
    match kind:
        case "parquet":
            return check_columns(path, limits)
        case "jsonl":
            return check_lines(_chunks(path, limits), limits)
        case "json_array" | "json_object":
            return check_document(_chunks(path, limits), limits, of_objects=kind == "json_array")
        case "table":
            return check_table(_chunks(path, limits), limits, delimiter)
        case "text":
            return check_text(_chunks(path, limits), limits)
        case "other":
            return Verdict(verdict="valid", format="other", problems=(Problem(1, "not_checked"),))
        case "binary" | "utf16":
            return invalid(None, kind)


def _chunks(path: Path, limits: Limits) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(limits.chunk_bytes):
            yield chunk
