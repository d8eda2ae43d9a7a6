"""CSV and TSV: cells under the name of their column; rows in which nothing changes stay as they were, byte by byte."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.runtime.deid.buffers import Areas
from services.runtime.deid.documents import Rewriter


class NotATable(Exception):
    """A chunk that is no CSV, with the line (from 0) where that shows."""

    def __init__(self, line: int, zh: str, en: str) -> None:
        super().__init__(en)
        self.line, self.zh, self.en = line, zh, en


class Table(NamedTuple):
    """Rows with the text that they were read from, and the lines of those that were left out."""

    rows: list[list[str]]
    raw: list[str]
    ragged: list[int]
    delimiter: str


def read(chunk: bytes, delimiter: str, width: int) -> Table:
    """The rows of `width` cells; raises NotATable where it is not CSV or not UTF-8."""
    try:
        lines = list(io.StringIO(chunk.decode(), newline=""))
    except UnicodeDecodeError as error:
        line = chunk.count(b"\n", 0, error.start)
        raise NotATable(line, "不是有效的 UTF-8 文本", "is not valid UTF-8") from None
    rows, raw, ragged, at = [], [], [], 0
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            first, at = at, reader.line_num
            if len(row) == width:
                rows.append(row)
                raw.append("".join(lines[first:at]))
            elif row:
                ragged.append(first)
    except csv.Error:
        raise NotATable(at, "不是有效的 CSV", "is not valid CSV") from None
    return Table(rows, raw, ragged, delimiter)


def written(table: Table, columns: Sequence[int], cells: Sequence[str]) -> bytes:
    """The table with new cells in these columns, row by row."""
    pieces = []
    given = iter(cells)
    for row, raw in zip(table.rows, table.raw, strict=True):
        new = list(row)
        for column in columns:
            new[column] = next(given)
        pieces.append(raw if new == row else _line(new, raw, table.delimiter))
    return "".join(pieces).encode()


def _line(row: list[str], raw: str, delimiter: str) -> str:
    """In the manner of the line before: with quotes around all cells, or where needed; with its own line end."""
    line = io.StringIO(newline="")
    all_quoted = raw.startswith('"') and raw.count('"') >= 2 * len(row)
    end = raw[len(raw.rstrip("\r\n")) :]
    writer = csv.writer(
        line, delimiter=delimiter, quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL, lineterminator=end
    )
    writer.writerow(row)
    return line.getvalue()


def cells_rewritten(rewriter: Rewriter, cells: Sequence[tuple[str, bytes]]) -> tuple[list[bytes], Counter[str]]:
    """Cells, each with its column's name, de-identified in one go."""
    if not cells:
        return [], Counter()
    names = {name: at for at, name in enumerate(dict.fromkeys(name for name, _ in cells))}
    header = [name.encode() for name in names]
    ends = np.cumsum([len(name) + 1 for name in header]) - 1
    starts = ends - np.array([len(name) for name in header])
    front = b"\n".join(header) + b"\n"
    lengths = np.array([len(cell) for _, cell in cells], dtype=np.int64)
    cell_ends = len(front) + np.cumsum(lengths + 1) - 1
    number = np.array([names[name] for name, _ in cells], dtype=np.int64)
    areas = Areas(cell_ends - lengths, cell_ends, starts[number], ends[number])
    done = rewriter.text(front + b"\n".join(cell for _, cell in cells), areas)
    return list(done.stretches(areas.starts, areas.ends)), done.counts()
