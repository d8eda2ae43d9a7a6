"""CSV and TSV: cells under the name of their column; rows in which nothing changes stay as they were, byte by byte."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from services.runtime.deid.buffers import APART, Areas
from services.runtime.deid.documents import Rewriter
from services.runtime.deid.faults import NOT_UTF8
from services.runtime.deid.files import formats
from services.runtime.delimited import TAB, as_written, bare, reader


class NotATable(Exception):
    """What is no CSV or TSV, with the line (from 0) where that shows."""

    def __init__(self, line: int, zh: str, en: str) -> None:
        super().__init__(en)
        self.line, self.zh, self.en = line, zh, en


class Table(NamedTuple):
    """Rows with the text that they were read from, and the lines (from 0) of those that were left out.

    A blank line is a row without cells. `fault`: why nothing more could be read.
    """

    delimiter: str
    rows: list[list[str]]
    raw: list[str]
    ragged: list[int]
    fault: NotATable | None = None

    def cells(self, columns: Sequence[int]) -> list[str]:
        """Of these columns, row by row."""
        cells = [row[column] for row in self.rows if row for column in columns]
        return [bare(cell) for cell in cells] if self.delimiter == TAB else cells

    def written(self, columns: Sequence[int], cells: Sequence[str]) -> bytes:
        """The table with others in the place of `cells`."""
        pieces = []
        given = iter(cells)
        spelling = _Spelling(self.delimiter)
        for row, raw in zip(self.rows, self.raw, strict=True):
            new = list(row)
            for column in columns if row else ():
                cell = next(given)
                new[column] = as_written(cell, row[column]) if self.delimiter == TAB else cell
            pieces.append(raw if new == row else spelling.line(new, row, raw))
        return "".join(pieces).encode()


def header(file: BinaryIO, delimiter: str) -> tuple[list[str], bytes]:
    """The names of the columns, and all that was read: the record that holds them, and blank lines before it.

    Raises NotATable, or FileRefused where the record is too long.
    """
    taken: list[str] = []
    rows = reader(_decoded(_bounded(file), taken), delimiter)
    try:
        names = next((row for row in rows if row), None)
    except csv.Error as error:
        raise _fault(0, delimiter, error) from None
    if names is None:
        raise NotATable(0, "没有可用的表头", "has no header that can be read")
    return [bare(name) for name in names] if delimiter == TAB else names, "".join(taken).encode()


def read(chunk: bytes, delimiter: str, width: int) -> Table:
    """The rows of `width` cells."""
    lines, at = list[str](), 0
    rows, raw, ragged = list[list[str]](), list[str](), list[int]()
    found, fault = reader(_decoded(io.BytesIO(chunk), lines), delimiter), None
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
        fault = _fault(at, delimiter, error)
    return Table(delimiter, rows, raw, ragged, fault)


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
            raise NotATable(len(taken), *NOT_UTF8) from None
        if "\0" in text:
            raise NotATable(len(taken), *formats.HAS_NUL)
        taken.append(text)
        yield text


def _fault(row: int, delimiter: str, error: csv.Error) -> NotATable:
    """`row`: the first line of the row that it is in."""
    if "new-line" in str(error):
        return NotATable(row, "含有后面没有 LF 的 CR", "has a CR without LF, which ends no line")
    kind = "TSV" if delimiter == TAB else "CSV"
    return NotATable(row, f"不是有效的 {kind}", f"is not valid {kind}")


class _Spelling:
    """How cells are written: as they were, and those that changed with quotes where they had some or need them."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        apart = re.escape(delimiter)
        self._cell = re.compile(rf'("[^"]*+(?:""[^"]*+)*+"|[^{apart}\r\n]*+)(?:{apart}|\r?\n?\Z)')
        self._special = re.compile(rf'["\r\n{apart}]')

    def line(self, new: list[str], old: list[str], raw: str) -> str:
        """With the line end that it had."""
        bare_line = raw.rstrip("\r\n")
        if self._delimiter == TAB or '"' not in raw:
            spelled = bare_line.split(self._delimiter)
        else:
            spelled = self._cell.findall(raw)[: len(old)]
        cells = [
            before if cell == was else self._written(cell, before, alone=len(new) == 1)
            for cell, was, before in zip(new, old, spelled, strict=True)
        ]
        return self._delimiter.join(cells) + raw[len(bare_line) :]

    def _written(self, cell: str, before: str, *, alone: bool) -> str:
        if self._delimiter == TAB:
            return cell
        quoted = before.startswith('"') or self._special.search(cell) or (alone and not cell)
        return '"' + cell.replace('"', '""') + '"' if quoted else cell


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
