"""Parquet: every column of strings, also inside lists and structs, row group by row group."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from services.runtime.deid.files.work import Done, Job, Work
from services.runtime.deid.refusals import FileRefused

if TYPE_CHECKING:
    from services.runtime.deid.files.tally import Tally

_BLOCK = 1 << 20


def deidentify_parquet(source: Path, out: BinaryIO, job: Job, tally: Tally) -> None:
    """Writes the same schema and row groups. Raises FileRefused for what is no Parquet, or has no such column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FileRefused("不是有效的 Parquet 文件", "is not a valid Parquet file") from None
    with file, source.open("rb") as raw:
        schema = file.schema_arrow
        if job.fields is not None and (missing := sorted(set(job.fields) - set(schema.names))):
            names = ", ".join(missing)
            raise FileRefused(f"文件中没有字段：{names}", f"the file has no such field: {names}")
        tally.fields |= set(schema.names)
        work = Work(job)
        target = _Counted(out, tally)
        with pq.ParquetWriter(target, schema) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                counts: Counter[str] = Counter()
                for number, name in enumerate(table.column_names):
                    if job.fields is None or name in job.fields:
                        column = table.column(number).combine_chunks()
                        new = _rewritten(column, name, work, counts)
                        table = table.set_column(number, schema.field(number), new)
                writer.write_table(table)
                done = Done(content=b"", lines=0, records=table.num_rows, counts=counts)
                tally.add(done, out, int(source.stat().st_size * (group + 1) / file.num_row_groups))
                tally.take(b"")
        while block := raw.read(_BLOCK):
            tally.take(block)


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


def _rewritten(column: Any, name: str, work: Work, counts: Counter[str]) -> Any:
    """An array of the same type with its strings de-identified, on every level."""
    import pyarrow as pa

    kind = column.type
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], kind)
    if pa.types.is_dictionary(kind):
        return _rewritten(column.dictionary_decode(), name, work, counts).dictionary_encode().cast(kind)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = column.to_pylist()
        there = [text.encode() for text in texts if text is not None]
        new, found = work.rewritten(there, name)
        counts.update(found)
        given = iter(new)
        return pa.array([None if text is None else next(given).decode() for text in texts], kind)
    if pa.types.is_struct(kind):
        children = [_rewritten(column.field(i), kind.field(i).name, work, counts) for i in range(kind.num_fields)]
        mask = column.is_null()
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        whole = pa.array(column.to_pylist(), kind)  # offsets from 0 and no values hidden under nulls
        values = _rewritten(whole.values, name, work, counts)
        build = pa.ListArray if pa.types.is_list(kind) else pa.LargeListArray
        return build.from_arrays(whole.offsets, values, type=kind, mask=whole.is_null())
    if _has_text(kind):
        raise FileRefused(f"不支持的列类型：{name}", f"a column of a type that is not supported: {name}")
    return column


def _has_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_nested(kind):
        return any(_has_text(kind.field(i).type) for i in range(kind.num_fields))
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
