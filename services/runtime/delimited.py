"""CSV, whatever separates its cells, and TSV, as what checks a file and what de-identifies it both read them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any, Literal

TAB = "\t"
_DOUBLED = '""'
DELIMITERS = (",", TAB, ";", "|")
_FEW_LINES, _FEWEST_ROWS = 20, 2
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
        widths = set(_widths(lines, delimiter))
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = delimiter, width
    return best


def delimiter_of_table(lines: list[str], otherwise: str) -> str:
    """Of a file that is called a table: where rows differ, the delimiter by which the first has most cells."""
    if delimiter := delimiter_of(lines):
        return delimiter
    given = (otherwise, *(delimiter for delimiter in DELIMITERS if delimiter != otherwise))
    return max(given, key=lambda delimiter: sum(width for width in _widths(lines[:1], delimiter) if width > 1))


def _widths(lines: list[str], delimiter: str) -> list[int]:
    """Cells of each row, without the last of several where a cell of it goes on; none of what is no such table."""
    widths = list[int]()
    try:
        widths += (len(row) for row in reader(lines, delimiter) if row)
    except csv.Error as error:
        if "unexpected end" not in str(error) or len(widths) < _FEWEST_ROWS:
            return []
    return widths


def bare(cell: str) -> str:
    """A cell of TSV without the quotes that some programs write around each, and double in it, which are none of its
    value.
    """
    if not _is_quoted(cell):
        return cell
    return cell[1:-1].replace(_DOUBLED, '"') if _doubles(cell) else cell[1:-1]


def as_written(value: str, cell: str) -> str:
    """Another value in the place of a cell of TSV, in its manner."""
    if not _is_quoted(cell):
        return value
    return f'"{value.replace(chr(34), _DOUBLED)}"' if _doubles(cell) else f'"{value}"'


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def _doubles(cell: str) -> bool:
    """Whether each quote within the quotes around a cell is one of two."""
    return '"' not in cell[1:-1].replace(_DOUBLED, "")
