"""CSV and TSV, as what checks a file and what de-identifies it both read them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any, Literal

csv.field_size_limit(2**31 - 1)  # never reached: whoever reads bounds records before


def reader(lines: Iterable[str], delimiter: str) -> Any:
    """The `csv.reader` of these lines. It raises csv.Error for what is no such table.

    CSV as RFC 4180 has it: quotes doubled inside of quotes, a row may go over several lines. In TSV a line is a row and
    a quote is text, as IANA's text/tab-separated-values has it.
    """
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    return csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)


def is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def bare(cell: str) -> str:
    """A cell of TSV without the quotes that some programs write around each, which are none of its value."""
    return cell[1:-1] if is_quoted(cell) else cell
