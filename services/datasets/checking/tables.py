"""Tables as text: comma or tab separated values, with a header."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from services.datasets.checking.encodings import BYTE_ORDER_MARK
from services.datasets.checking.findings import Findings, Verdict
from services.datasets.checking.limits import Limits
from services.datasets.checking.shapes import Shape, shape_of_columns
from services.datasets.checking.splitting import lines
from services.runtime.delimited import bare, reader


class _RowTooLong(Exception):
    pass


def check_table(chunks: Iterable[bytes], limits: Limits, delimiter: str) -> Verdict:
    """`delimiter` as it was recognised."""
    findings = Findings("tsv" if delimiter == "\t" else "csv", limits)
    text = _Text(chunks, findings)
    rows = reader(text, delimiter)
    header: list[str] | None = None
    readable = True  # whether the first row was: no other is a header, and its cells are values
    shape: Shape | None = None
    present: list[int] = []
    while True:
        begins = text.begin_row()
        try:
            row = next(rows)
        except StopIteration:
            break
        except _RowTooLong:
            findings.bad(begins, "record_too_long")
            break  # the reader holds what it has read of the row, so there is no going on
        except csv.Error as error:
            findings.bad(begins, "open_quote" if "unexpected end" in str(error) else "csv_syntax")
            readable = readable and header is not None
            continue
        if text.bad:
            readable = readable and header is not None
        if not row or text.bad or not readable:
            continue
        if header is None:
            header = [bare(name) for name in row] if delimiter == "\t" else row
            problem = _header_problem(header, limits)
            if problem is not None:
                findings.bad(begins, problem)
                break
            shape = shape_of_columns(header)
            present = [0] * len(header)
        elif len(row) != len(header):
            findings.bad(begins, "ragged_row")
        else:
            findings.record(begins, shape)
            for column, cell in enumerate(row):
                if cell:
                    present[column] += 1
    if header and present:
        findings.fields.add_columns(header, ["string"] * len(header), present)
    return findings.verdict()


def _header_problem(header: list[str], limits: Limits) -> str | None:
    if len(header) > limits.columns:
        return "too_many_fields"
    return "duplicate_column" if len(set(header)) < len(header) else None


class _Text:
    """Lines as the reader of tables wants them; `bad`: the row being read has a line that was told already."""

    def __init__(self, chunks: Iterable[bytes], findings: Findings) -> None:
        self._findings = findings
        self._lines = lines(chunks, findings.limits.record_bytes)
        self._number = 0
        self._length = 0
        self.bad = False

    def begin_row(self) -> int:
        """The number of the line that comes next."""
        self._length, self.bad = 0, False
        return self._number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self._number, line = next(self._lines)
        if line is None:
            self._bad("line_too_long")
            return "\n"
        self._length += len(line) + 1
        if self._length > self._findings.limits.record_bytes:
            raise _RowTooLong
        if self._number == 1 and line.startswith(BYTE_ORDER_MARK):
            self._findings.note(1, "byte_order_mark")
            line = line[len(BYTE_ORDER_MARK) :]
        if b"\0" in line:
            self._bad("null_byte", line)
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self._bad("not_utf8", line)
            text = line.decode(errors="replace")
        return f"{text}\n"

    def _bad(self, code: str, content: bytes = b"") -> None:
        self.bad = True
        self._findings.bad(self._number, code, content)
