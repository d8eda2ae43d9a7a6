"""CSV, whatever separates its cells, and TSV, as what checks a file and what de-identifies it both read them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any, Literal

TAB = "\t"
DELIMITERS = (",", TAB, ";", "|")
_FEW_LINES = 20
_SAMPLE = 64 * 1024

csv.field_size_limit(2**31 - 1)  # never reached: whoever reads bounds records before


def reader(lines: Iterable[str], delimiter: str) -> Any:
    """The `csv.reader` of these lines. It raises csv.Error for what is no such table.

    CSV as RFC 4180 has it: quotes doubled inside of quotes, a row may go over several lines. In TSV a line is a row and
    a quote is text, as IANA's text/tab-separated-values has it.
    """
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == TAB else csv.QUOTE_MINIMAL
    return csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)


def first_lines(head: bytes, *, whole: bool) -> list[bytes]:
    """The first few lines of a file that are not blank; without the last of its head, unless that is all of it."""
    found = head.split(b"\n")
    if not whole:
        found.pop()
    return [line for line in found if line.strip()][:_FEW_LINES]


def sample_of(head: bytes, *, whole: bool) -> list[str]:
    """Of a table, to tell its delimiter by."""
    lines = first_lines(head[:_SAMPLE], whole=whole and len(head) <= _SAMPLE)
    return [line.rstrip(b"\r").decode(errors="replace") for line in lines]


def delimiter_of(lines: list[str]) -> str | None:
    """The delimiter by which all these rows have as many cells, at least two; the one that makes most of them."""
    best, most = None, 1
    for delimiter in DELIMITERS:
        try:
            widths = {len(row) for row in reader(lines, delimiter) if row}
        except csv.Error:
            continue
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = delimiter, width
    return best


def is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def bare(cell: str) -> str:
    """A cell of TSV without the quotes that some programs write around each, which are none of its value."""
    return cell[1:-1] if is_quoted(cell) else cell
