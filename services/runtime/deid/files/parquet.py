"""Parquet: every column, also inside lists and structs, batch by batch of each row group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from services.runtime.deid.files.column_kinds import is_text, names, not_supported
from services.runtime.deid.files.columns import Columns
from services.runtime.deid.files.work import Done, Job, Work
from services.runtime.deid.refusals import FileRefused, no_such

if TYPE_CHECKING:
    from services.runtime.deid.files.tally import Tally

_BLOCK = 1 << 20
_BATCH, _MOST_ROWS = 4 << 20, 1 << 16


def deidentify_parquet(source: Path, out: BinaryIO, job: Job, tally: Tally) -> None:
    """Writes the same row groups, and the same schema but for its metadata, which may hold any text, and for columns
    whose values can be no numbers or days any more.

    Raises FileRefused for what is no Parquet, or has no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _reading():
        file = pq.ParquetFile(source)
        schema = file.schema_arrow
        paths = list(names(schema))
    with file, source.open("rb") as raw:
        work = Work(job)
        if work.holds_data([path[-1] for path in paths]):
            zh, en = "列名中有个人信息", "has personal data in the names of its columns"
            raise FileRefused(zh, en)
        tally.fields |= {".".join(path) for path in paths}
        if missing := sorted(set(job.fields or ()) - tally.fields):
            raise no_such(missing)
        columns = Columns(work, job.fields)
        chosen = [number for number, name in enumerate(schema.names) if columns.wanted((name,))]
        measured = sorted({schema.names[n] for n in chosen if not is_text(schema.field(n).type)})
        for group in range(file.num_row_groups if measured else 0):
            for batch in _batches(file, group, measured):
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    with _rewriting(name):
                        columns.rewritten(column, (name,), Counter(), spelling=True)
                tally.take(b"")
        written = pa.schema([columns.field(field, ()) for field in schema])
        target, rows = _Counted(out, tally), 0
        with pq.ParquetWriter(target, written, compression=_codecs(file.metadata, written)) as writer:
            for group in range(file.num_row_groups):
                batches = []
                for batch in _batches(file, group):
                    arrays, counts = batch.columns, Counter[str]()
                    for number in chosen:
                        name = schema.names[number]
                        with _rewriting(name):
                            arrays[number] = columns.rewritten(arrays[number], (name,), counts)
                    batches.append(pa.RecordBatch.from_arrays(arrays, schema=written))
                    rows += batch.num_rows
                    done = Done(content=b"", lines=0, records=batch.num_rows, counts=counts)
                    tally.add(done, out, tally.size * rows // max(file.metadata.num_rows, 1))
                    tally.take(b"")
                table = pa.Table.from_batches(batches, written).unify_dictionaries()
                writer.write_table(table, max(table.num_rows, 1))
        while block := raw.read(_BLOCK):
            tally.take(block)


def _batches(file: Any, group: int, columns: list[str] | None = None) -> Iterator[Any]:
    """Each of about `_BATCH` bytes, as what is made of them meanwhile is many times as large."""
    told = file.metadata.row_group(group)
    size = told.num_rows * _BATCH // max(told.total_byte_size, 1)
    batches = file.iter_batches(min(max(size, 1), _MOST_ROWS), [group], columns)
    while True:
        with _reading():
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _codecs(source: Any, written: Any) -> Any:
    """By which the columns of the source are compressed in its first row group, by their paths in what is written,
    where names within lists may be others.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not source.num_row_groups:
        return "none"
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, written):
        pass
    leaves = pq.read_metadata(pa.BufferReader(sink.getvalue())).schema
    group = source.row_group(0)
    codecs = (group.column(number).compression for number in range(group.num_columns))
    return {leaves.column(number).path: _CODECS.get(codec, codec) for number, codec in enumerate(codecs)}


_CODECS = {"UNCOMPRESSED": "NONE"}
"""By what Parquet calls them, where Arrow calls them otherwise."""


@contextmanager
def _reading() -> Iterator[None]:
    """What Arrow says of a content is an OSError too, without a number; those of the storage have one."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FileRefused("不是有效的 Parquet 文件", "is not a valid Parquet file") from None


@contextmanager
def _rewriting(name: str) -> Iterator[None]:
    """What Arrow cannot do with a column is the column's fault."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise not_supported((name,)) from None


class _Counted:
    """A file that adds what is written to the tally."""

    closed = False

    def __init__(self, out: BinaryIO, tally: Tally) -> None:
        self._out, self._tally = out, tally

    def write(self, content: Any) -> int:
        taken = bytes(content)
        self._tally.give(self._out, taken)
        return len(taken)

    def tell(self) -> int:
        return self._tally.bytes_written

    def flush(self) -> None:
        self._out.flush()

    def close(self) -> None:
        self.closed = True
