"""Columns of Parquet: texts, and numbers and days that may be somebody's, on every level of lists and structs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from services.runtime.deid.files import column_kinds as kinds
from services.runtime.deid.files import measures
from services.runtime.deid.files.column_kinds import Path
from services.runtime.deid.files.work import Work
from services.runtime.deid.refusals import FileRefused

_SHORTEST_NUMBER = 10_000


class Columns:
    """De-identifies arrays of one file. `spelled`: the paths of columns that became text, as a value fits no more.

    Those are found in a first pass over the whole file, so that a column has one type in all of it.
    """

    def __init__(self, work: Work, fields: Sequence[str] | None) -> None:
        """`fields`: what to change, by dotted names, with all that is in them; else everything."""
        self._work, self._fields, self._chosen = work, fields, fields is not None
        self.spelled: set[Path] = set()

    def wanted(self, path: Path) -> bool:
        """Whether it, what it is in, or something in it is to be changed."""
        name = ".".join(path) + "."
        return self._fields is None or any(
            name.startswith(f"{field}.") or field.startswith(name) for field in self._fields
        )

    def rewritten(self, column: Any, path: Path, counts: Counter[str], *, spelling: bool = False) -> Any:
        """An array of the same type, or of text where `spelled` says so. `spelling`: adds to that instead."""
        import pyarrow as pa

        kind = column.type
        if not self.wanted(path):
            return column
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], kind)
        if pa.types.is_dictionary(kind):
            values = self.rewritten(column.dictionary_decode(), path, counts, spelling=spelling)
            return values if path in self.spelled else values.dictionary_encode().cast(kind)
        if pa.types.is_struct(kind):
            fields = [self.field(kind.field(i), path) for i in range(kind.num_fields)]
            children = [
                self.rewritten(column.field(i), (*path, kind.field(i).name), counts, spelling=spelling)
                for i in range(kind.num_fields)
            ]
            return column if spelling else pa.StructArray.from_arrays(children, fields=fields, mask=column.is_null())
        if pa.types.is_fixed_size_list(kind):
            lists = column.cast(pa.list_(kind.value_field))
            new = self.rewritten(lists, path, counts, spelling=spelling)
            return (
                column if spelling or new is lists else new.cast(self.field(pa.field("", kind), path[:-1], path).type)
            )
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return self._lists(column, path, counts, spelling=spelling)
        if kinds.is_text(kind) or kinds.is_bytes(kind):
            return column if spelling else self._texts(column, path, counts)
        if kinds.is_number(kind) or kinds.is_day(kind):
            return self._measures(column, path, counts, spelling=spelling)
        if self._may_be_data(column, path):
            raise kinds.not_supported(path)
        return column

    def _lists(self, column: Any, path: Path, counts: Counter[str], *, spelling: bool) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind, flat = column.type, column.flatten()  # no values hidden under nulls
        if kinds.is_number(kind.value_type) and path not in self.spelled and not self._numbers_of(flat)[0]:
            return column  # embeddings, for instance
        values = self.rewritten(flat, path, counts, spelling=spelling)
        if spelling:
            return column
        build, offset = (pa.ListArray, pa.int32()) if pa.types.is_list(kind) else (pa.LargeListArray, pa.int64())
        ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(column), 0))
        offsets = pa.concat_arrays([pa.array([0], offset), ends.cast(offset)])
        new = self.field(pa.field("", kind), path[:-1], path).type
        return build.from_arrays(offsets, values, type=new, mask=column.is_null())

    def _may_be_data(self, column: Any, path: Path) -> bool:
        """Whether a column of a kind that is not rewritten holds text, or anything else that would change."""
        import pyarrow as pa

        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            parts = [column.storage]
        elif pa.types.is_dictionary(kind):
            parts = [column.dictionary_decode()]
        elif pa.types.is_map(kind):
            parts = [column.keys, column.items]
        elif pa.types.is_struct(kind) or kinds.is_list(kind):
            parts = column.flatten() if pa.types.is_struct(kind) else [column.flatten()]
        elif kinds.is_number(kind) or kinds.is_day(kind):
            _, given = measures.days(column) if kinds.is_day(kind) else self._numbers_of(column)
            return self._work.values(given, path[-1], chosen=self._chosen)[0] != given
        elif pa.types.is_fixed_size_binary(kind):
            texts = [value for value in column.to_pylist() if value is not None and _is_unicode(value)]
            return self._work.rewritten(texts, path[-1])[0] != texts
        else:
            return not kinds.is_harmless(kind)
        return any(self._may_be_data(part, path) for part in parts)

    def field(self, field: Any, above: Path, path: Path | None = None) -> Any:
        """The field as it is written, without metadata, which is text of whatever kind."""
        import pyarrow as pa

        path = path or (*above, field.name)
        kind = field.type
        if path in self.spelled and not pa.types.is_nested(kind):
            kind = pa.string()
        elif pa.types.is_struct(kind):
            kind = pa.struct([self.field(kind.field(i), path) for i in range(kind.num_fields)])
        elif pa.types.is_map(kind):
            kind = pa.map_(self.field(kind.key_field, path), self.field(kind.item_field, path))
        elif pa.types.is_fixed_size_list(kind):
            kind = pa.list_(self.field(kind.value_field, path, path), kind.list_size)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            build = pa.list_ if pa.types.is_list(kind) else pa.large_list
            kind = build(self.field(kind.value_field, path, path))
        return field.with_type(kind).remove_metadata()

    def _numbers_of(self, column: Any) -> tuple[list[int], list[bytes]]:
        return measures.numbers(column, least=1 if self._chosen else _SHORTEST_NUMBER)

    def _texts(self, column: Any, path: Path, counts: Counter[str]) -> Any:
        """Bytes are text where they are UTF-8."""
        import pyarrow as pa

        kind = column.type
        if kinds.is_text(kind):
            column = _as_bytes(column, path)
        values = column.to_pylist()
        texts = [
            number
            for number, value in enumerate(values)
            if value is not None and (kinds.is_text(kind) or _is_unicode(value))
        ]
        new, found = self._work.rewritten([values[number] for number in texts], path[-1])
        counts.update(found)
        for number, value in zip(texts, new, strict=True):
            values[number] = value
        if pa.types.is_fixed_size_binary(kind) and set(map(len, new)) - {kind.byte_width}:
            raise kinds.not_supported(path)  # what took a value's place has another length
        return pa.array(values, column.type).cast(kind)

    def _measures(self, column: Any, path: Path, counts: Counter[str], *, spelling: bool) -> Any:
        there, given = measures.days(column) if kinds.is_day(column.type) else self._numbers_of(column)
        new, found = self._work.values(given, path[-1], chosen=self._chosen)
        counts.update(found)
        changed = {
            number: (before, after) for number, before, after in zip(there, given, new, strict=True) if before != after
        }
        if path in self.spelled:
            return column if spelling else measures.texts(column, changed)
        replaced = measures.replaced(column, changed) if changed else column
        if replaced is None:
            self.spelled.add(path)
        return column if spelling else replaced


def _as_bytes(column: Any, path: Path) -> Any:
    """What Parquet calls text is not always UTF-8."""
    import pyarrow as pa

    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        name = ".".join(path)
        raise FileRefused(f"列中有无效的 UTF-8：{name}", f"a column has invalid UTF-8: {name}") from None
    return column.cast(pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary())


def _is_unicode(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
