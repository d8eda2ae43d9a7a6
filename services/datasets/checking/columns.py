"""Parquet files: the footer is bounded before it is read, then every page is decoded once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.field_names import is_data
from services.datasets.checking.findings import Findings, Verdict, invalid
from services.datasets.checking.limits import Limits
from services.datasets.checking.shapes import Shape, shape_of_columns

MAGIC = b"PAR1"
ENCRYPTED = b"PARE"

_TAIL = 8  # bytes: the length of the footer, then the magic
_BATCH = 512  # rows
_MOST_STRINGS = 16 * 1024 * 1024
_MOST_CONTAINERS = 1_000_000
_LONGEST_TYPE = 200  # characters
_TURN_FIELDS = ({"from", "value"}, {"role", "content"})


def check_columns(path: Path, limits: Limits) -> Verdict:
    reason = _footer_problem(path, limits)
    if reason is not None:
        return invalid("parquet", reason)
    # Only here: it is large, and most files are not of this kind.
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    try:
        return _check_pages(path, limits)
    except pa.ArrowMemoryError:
        return invalid("parquet", "too_much_memory")
    except (pa.ArrowException, OSError, ValueError):
        return invalid("parquet", "parquet_damaged")


def _footer_problem(path: Path, limits: Limits) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < _TAIL + len(MAGIC):
            return "parquet_truncated"
        file.seek(-_TAIL, os.SEEK_END)
        tail = file.read(_TAIL)
    if tail[4:] == ENCRYPTED:
        return "parquet_encrypted"
    if tail[4:] != MAGIC:
        return "parquet_truncated"
    footer = int.from_bytes(tail[:4], "little")
    if footer > size - _TAIL - len(MAGIC):
        return "parquet_damaged"
    return "footer_too_long" if footer > limits.footer_bytes else None


def _check_pages(path: Path, limits: Limits) -> Verdict:
    import pyarrow as pa
    import pyarrow.parquet as pq

    findings = Findings("parquet", limits)
    with pq.ParquetFile(
        path,
        memory_map=False,
        buffer_size=limits.chunk_bytes,
        pre_buffer=False,
        thrift_string_size_limit=_MOST_STRINGS,
        thrift_container_size_limit=_MOST_CONTAINERS,
    ) as file:
        metadata, schema = file.metadata, file.schema_arrow
        if metadata.num_columns > limits.columns:
            return invalid("parquet", "too_many_fields")
        if any(_depth(field.type) > limits.nesting for field in schema):
            return invalid("parquet", "too_deeply_nested")
        texts = [field.name for field in schema if _is_text(field.type)]
        shape = shape_of_columns(texts, [field.name for field in schema if _are_turns(field.type)])
        present = [0] * len(schema.names)
        for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
            first = findings.records + findings.bad_records + 1
            try:
                batch.validate(full=True)
            except pa.ArrowInvalid:
                _tell_rows(findings, batch, first, shape)
            else:
                findings.record(first, shape, batch.num_rows)
            for column, values in enumerate(batch.columns):
                present[column] += len(values) - values.null_count
        if findings.records + findings.bad_records != metadata.num_rows:
            return invalid("parquet", "parquet_damaged")
    findings.fields.add_columns(schema.names, [_type_name(field.type) for field in schema], present)
    return findings.verdict()


def _tell_rows(findings: Findings, batch: Any, first: int, shape: Shape | None) -> None:
    """`batch` is a pyarrow.RecordBatch with rows of text that is not UTF-8; `first` is the number of its first row."""
    import pyarrow as pa

    for row in range(batch.num_rows):
        try:
            # A slice has the offsets of the whole, so the row is copied to be looked at alone.
            pa.concat_batches([batch.slice(row, 1)]).validate(full=True)
        except pa.ArrowInvalid:
            findings.bad(first + row, "not_utf8")
        else:
            findings.record(first + row, shape)


def _type_name(type_: Any) -> str:
    """Without the names of fields inside it where one of them is data."""
    name = str(type_)
    return (name.partition("<")[0] if any(map(is_data, _names(type_))) else name)[:_LONGEST_TYPE]


def _names(type_: Any) -> Iterator[str]:
    for child in range(type_.num_fields):
        field = type_.field(child)
        yield field.name
        yield from _names(field.type)


def _is_text(type_: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _are_turns(type_: Any) -> bool:
    import pyarrow as pa

    if not (pa.types.is_list(type_) or pa.types.is_large_list(type_)) or not pa.types.is_struct(type_.value_type):
        return False
    names = {field.name for field in type_.value_type}
    return any(fields <= names for fields in _TURN_FIELDS)


def _depth(type_: Any) -> int:
    return 1 + max((_depth(type_.field(child).type) for child in range(type_.num_fields)), default=0)
