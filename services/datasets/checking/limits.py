"""Bounds of a check: whatever a file holds, looking into it costs no more."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024
LONGEST_NAME = 200  # characters of a field's name that are told


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`record_bytes` bounds one line, CSV row or JSON record; `nesting` its arrays and objects in each other.

    `columns` is the most fields of one record, `fields` how many names are told in all, `problems` how many lines.
    `footer_bytes` bounds the footer of a Parquet file, which is read as a whole. `chunk_bytes` are read at a time.
    """

    record_bytes: int = 32 * MIB
    nesting: int = 64
    columns: int = 4_096
    fields: int = 256
    problems: int = 20
    footer_bytes: int = 64 * MIB
    chunk_bytes: int = 256 * 1024
