"""Parquet: every column, also inside lists and structs, row group by row group."""

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
            with _reading():
                table = file.read_row_group(group, measured)
            for name, column in zip(table.column_names, table.columns, strict=True):
                with _rewriting(name):
                    columns.rewritten(column, (name,), Counter(), spelling=True)
                tally.take(b"")
        written = pa.schema([columns.field(field, ()) for field in schema])
        target = _Counted(out, tally)
        with pq.ParquetWriter(target, written) as writer:
            for group in range(file.num_row_groups):
                with _reading():
                    table = file.read_row_group(group)
                counts: Counter[str] = Counter()
                for number in chosen:
                    name = schema.names[number]
                    with _rewriting(name):
                        new = columns.rewritten(table.column(number), (name,), counts)
                    table = table.set_column(number, written.field(number), new)
                writer.write_table(table.replace_schema_metadata(None))
                done = Done(content=b"", lines=0, records=table.num_rows, counts=counts)
                tally.add(done, out, int(source.stat().st_size * (group + 1) / file.num_row_groups))
                tally.take(b"")
        while block := raw.read(_BLOCK):
            tally.take(block)


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
