"""CSV and TSV: cells under the name of their column; rows in which nothing changes stay as they were, byte by byte."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from contracts.deid import FileFormat
from services.runtime.deid.buffers import APART, Areas
from services.runtime.deid.documents import Rewriter
from services.runtime.deid.files import formats
from services.runtime.delimited import bare, is_quoted, reader

_DELIMITERS: dict[FileFormat, str] = {"csv": ",", "tsv": "\t"}


class NotATable(Exception):
    """What is no CSV or TSV, with the line (from 0) where that shows."""

    def __init__(self, line: int, zh: str, en: str) -> None:
        super().__init__(en)
        self.line, self.zh, self.en = line, zh, en


class Table(NamedTuple):
    """Rows with the text that they were read from, and the lines (from 0) of those that were left out.

    A blank line is a row without cells. `fault`: why nothing more could be read.
    """

    kind: FileFormat
    rows: list[list[str]]
    raw: list[str]
    ragged: list[int]
    fault: NotATable | None = None

    def cells(self, columns: Sequence[int]) -> list[str]:
        """Of these columns, row by row."""
        cells = [row[column] for row in self.rows if row for column in columns]
        return [bare(cell) for cell in cells] if self.kind == "tsv" else cells

    def written(self, columns: Sequence[int], cells: Sequence[str]) -> bytes:
        """The table with others in the place of `cells`."""
        pieces = []
        given = iter(cells)
        for row, raw in zip(self.rows, self.raw, strict=True):
            new = list(row)
            for column in columns if row else ():
                cell = next(given)
                new[column] = f'"{cell}"' if self.kind == "tsv" and is_quoted(row[column]) else cell
            pieces.append(raw if new == row else _line(new, raw, self.kind))
        return "".join(pieces).encode()


def header(file: BinaryIO, kind: FileFormat) -> tuple[list[str], bytes]:
    """The names of the columns, and all that was read: the record that holds them, and blank lines before it.

    Raises NotATable, or FileRefused where the record is too long.
    """
    taken: list[str] = []
    rows = reader(_decoded(_bounded(file), taken), _DELIMITERS[kind])
    try:
        names = next((row for row in rows if row), None)
    except csv.Error as error:
        raise _fault(0, kind, error) from None
    if names is None:
        raise NotATable(0, "没有可用的表头", "has no header that can be read")
    return [bare(name) for name in names] if kind == "tsv" else names, "".join(taken).encode()


def read(chunk: bytes, kind: FileFormat, width: int) -> Table:
    """The rows of `width` cells."""
    lines, at = list[str](), 0
    rows, raw, ragged = list[list[str]](), list[str](), list[int]()
    found, fault = reader(_decoded(io.BytesIO(chunk), lines), _DELIMITERS[kind]), None
    try:
        for row in found:
            first, at = at, found.line_num
            if not row or len(row) == width:
                rows.append(row)
                raw.append("".join(lines[first:at]))
            else:
                ragged.append(first)
    except NotATable as error:
        fault = error
    except csv.Error as error:
        fault = _fault(at, kind, error)
    return Table(kind, rows, raw, ragged, fault)


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    left = formats.LONGEST_RECORD
    while line := file.readline(left + 1):
        left -= len(line)
        if left < 0:
            raise formats.too_long()
        yield line


def _decoded(lines: Iterable[bytes], taken: list[str]) -> Iterator[str]:
    """What was read of them is `taken`. Raises NotATable for what is no text in UTF-8."""
    for line in lines:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise NotATable(len(taken), *formats.NOT_UTF8) from None
        if "\0" in text:
            raise NotATable(len(taken), *formats.HAS_NUL)
        taken.append(text)
        yield text


def _fault(row: int, kind: FileFormat, error: csv.Error) -> NotATable:
    """`row`: the first line of the row that it is in."""
    if "new-line" in str(error):
        return NotATable(row, "含有后面没有 LF 的 CR", "has a CR without LF, which ends no line")
    return NotATable(row, f"不是有效的 {kind.upper()}", f"is not valid {kind.upper()}")


def _line(row: list[str], raw: str, kind: FileFormat) -> str:
    """In the manner of the line before: with quotes around all cells, or where needed; with its own line end."""
    end = raw[len(raw.rstrip("\r\n")) :]
    if kind == "tsv":
        return "\t".join(row) + end
    line = io.StringIO(newline="")
    all_quoted = raw.startswith('"') and raw.count('"') >= 2 * len(row)
    # Of line ends the writer quotes those that it writes.
    writer = csv.writer(line, quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL, lineterminator=_EVERY_END)
    writer.writerow(row)
    return line.getvalue().removesuffix(_EVERY_END) + end


_EVERY_END = "\r\n"


def cells_rewritten(
    rewriter: Rewriter, cells: Sequence[tuple[str, bytes]], *, per_row: int = 1
) -> tuple[list[bytes], Counter[str]]:
    """Cells row by row, each with its column's name, de-identified in one go."""
    if not cells:
        return [], Counter()
    names = {name: at for at, name in enumerate(dict.fromkeys(name for name, _ in cells))}
    header = [name.encode() for name in names]
    ends = np.cumsum([len(name) + 1 for name in header]) - 1
    starts = ends - np.array([len(name) for name in header])
    front = APART.join(header) + APART
    lengths = np.array([len(cell) for _, cell in cells], dtype=np.int64)
    cell_ends = len(front) + np.cumsum(lengths + 1) - 1
    number = np.array([names[name] for name, _ in cells], dtype=np.int64)
    areas = Areas(cell_ends - lengths, cell_ends, starts[number], ends[number])
    content = front + APART.join([cell for _, cell in cells])
    done = rewriter.text(content, areas, documents=areas.starts[::per_row])
    return list(done.stretches(areas.starts, areas.ends)), done.counts()
