"""Columns of Parquet: texts, and numbers and days that may be somebody's, on every level of lists and structs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from services.runtime.deid.faults import json_fault
from services.runtime.deid.files import column_kinds as kinds
from services.runtime.deid.files import measures
from services.runtime.deid.files.column_kinds import Path
from services.runtime.deid.files.work import Work
from services.runtime.deid.refusals import FileRefused

Names = Sequence[str]

_SHORTEST_NUMBER = 10_000


class Columns:
    """De-identifies arrays of one file. `spelled`: the paths of columns that became text, as a value fits no more.

    Those are found in a first pass over the whole file, so that a column has one type in all of it.
    """

    def __init__(self, work: Work, fields: Sequence[str] | None) -> None:
        """`fields`: what to change, by dotted names, with all that is in them; else everything."""
        self._work, self._fields, self._chosen = work, fields, fields is not None
        self.spelled: set[Path] = set()

    def _of_keys(self) -> Columns:
        """For keys of maps, which are to stay as many."""
        keys = Columns(self._work.for_names(), self._fields)
        keys.spelled = self.spelled
        return keys

    def wanted(self, path: Path) -> bool:
        """Whether it, what it is in, or something in it is to be changed."""
        name = ".".join(path) + "."
        return self._chooses(path) or any(field.startswith(name) for field in self._fields or ())

    def _chooses(self, path: Path) -> bool:
        """Whether it, or what it is in, is to be changed."""
        above = (".".join(path[: length + 1]) for length in range(len(path)))
        return self._fields is None or any(name in self._fields for name in above)

    def rewritten(
        self, column: Any, path: Path, counts: Counter[str], *, spelling: bool = False, names: Names | None = None
    ) -> Any:
        """An array of the same type, or of text where `spelled` says so. `spelling`: adds to that instead.

        `names`: what tells of each value, where that is not the column's name.
        """
        import pyarrow as pa

        kind = column.type
        if not (self._chooses(path) or (self.wanted(path) and any(kinds.names(kind)))):
            return column
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], kind)
        if (held := kinds.held_as(kind)) is not None:
            return self._held(column, held, path, counts, spelling, names)
        if pa.types.is_struct(kind):
            fields = [self.field(kind.field(i), path) for i in range(kind.num_fields)]
            children = [
                self.rewritten(column.field(i), (*path, kind.field(i).name), counts, spelling=spelling)
                for i in range(kind.num_fields)
            ]
            return column if spelling else pa.StructArray.from_arrays(children, fields=fields, mask=column.is_null())
        if kinds.is_list(kind):
            return self._lists(column, path, counts, spelling, names)
        if pa.types.is_map(kind):
            return self._maps(column, path, counts, spelling)
        names = names or [path[-1]] * len(column)
        if kinds.is_text(kind) or kinds.is_bytes(kind):
            return column if spelling else self._texts(column, path, counts, names)
        if kinds.is_number(kind) or kinds.is_day(kind):
            return self._measures(column, path, counts, spelling, names)
        if not kinds.is_harmless(kind):
            raise kinds.not_supported(path)
        return column

    def _held(
        self, column: Any, held: Any, path: Path, counts: Counter[str], spelling: bool, names: Names | None
    ) -> Any:
        """By way of what the values are held as."""
        import pyarrow as pa

        kind = column.type
        if kinds.is_json(kind):
            return column if spelling else self._documents(column, path, counts, names)
        inner = column.storage if isinstance(kind, pa.BaseExtensionType) else column.cast(held)
        values = self.rewritten(inner, path, counts, spelling=spelling, names=names)
        if spelling or values is inner:
            return column
        target = self.field(pa.field("", kind), path[:-1], path).type
        if isinstance(target, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(target, values)
        return (values.dictionary_encode() if pa.types.is_dictionary(target) else values).cast(target)

    def _lists(self, column: Any, path: Path, counts: Counter[str], spelling: bool, names: Names | None) -> Any:
        import pyarrow as pa

        kind, flat = column.type, column.flatten()  # no values hidden under nulls
        if kinds.is_number(kind.value_type) and path not in self.spelled and not self._numbers_of(flat)[0]:
            return column  # embeddings, for instance
        offsets = kinds.offsets(column)
        if names is not None:
            names = np.repeat(np.array(names, dtype=object), np.diff(offsets.to_numpy())).tolist()
        values = self.rewritten(flat, path, counts, spelling=spelling, names=names)
        build = pa.ListArray if pa.types.is_list(kind) else pa.LargeListArray
        new = self.field(pa.field("", kind), path[:-1], path).type
        return column if spelling else build.from_arrays(offsets, values, type=new, mask=column.is_null())

    def _maps(self, column: Any, path: Path, counts: Counter[str], spelling: bool) -> Any:
        """Keys that are text name the values, as names of fields do in JSON."""
        import pyarrow as pa

        kind = column.type
        lists = column.cast(pa.list_(pa.struct([kind.key_field, kind.item_field])))
        entries, names = lists.flatten(), None
        keys, items = entries.field(0), entries.field(1)
        if kinds.is_text(keys.type):
            given = _as_bytes(keys, path).to_pylist()
            new, found = self._work.names(given, path[-1], chosen=self._chosen)
            counts.update(found)
            names = [old.decode() if old == key else path[-1] for old, key in zip(given, new, strict=True)]
            keys = pa.array(new, pa.binary()).cast(keys.type)
        else:
            keys = self._of_keys().rewritten(keys, (*path, kind.key_field.name), counts, spelling=spelling)
        items = self.rewritten(items, path, counts, spelling=spelling, names=names)
        if spelling:
            return column
        target = self.field(pa.field("", kind), path[:-1], path).type
        return pa.MapArray.from_arrays(kinds.offsets(lists), keys, items, type=target, mask=column.is_null())

    def field(self, field: Any, above: Path, path: Path | None = None) -> Any:
        """The field as it is written, without metadata, which is text of whatever kind."""
        import pyarrow as pa

        path = path or (*above, field.name)
        kind = field.type
        if isinstance(kind, pa.BaseExtensionType):
            storage = self.field(field.with_type(kind.storage_type), above, path).type
            kind = kind if storage.equals(kind.storage_type, check_metadata=True) else storage
        elif path in self.spelled and not pa.types.is_nested(kind):
            kind = pa.string()
        elif pa.types.is_struct(kind):
            kind = pa.struct([self.field(kind.field(i), path) for i in range(kind.num_fields)])
        elif pa.types.is_map(kind):
            kind = pa.map_(self.field(kind.key_field, path), self.field(kind.item_field, path, path))
        elif pa.types.is_fixed_size_list(kind):
            kind = pa.list_(self.field(kind.value_field, path, path), kind.list_size)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            build = pa.list_ if pa.types.is_list(kind) else pa.large_list
            kind = build(self.field(kind.value_field, path, path))
        return field.with_type(kind).remove_metadata()

    def _numbers_of(self, column: Any) -> tuple[list[int], list[bytes]]:
        return measures.numbers(column, least=1 if self._chosen else _SHORTEST_NUMBER)

    def _texts(self, column: Any, path: Path, counts: Counter[str], names: Names) -> Any:
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
        new, found = self._work.rewritten([(names[number], values[number]) for number in texts])
        counts.update(found)
        for number, value in zip(texts, new, strict=True):
            values[number] = value
        if pa.types.is_fixed_size_binary(kind) and set(map(len, new)) - {kind.byte_width}:
            raise kinds.not_supported(path)  # what took a value's place has another length
        return pa.array(values, column.type).cast(kind)

    def _documents(self, column: Any, path: Path, counts: Counter[str], names: Names | None) -> Any:
        """Texts that are JSON."""
        import pyarrow as pa

        held = _as_bytes(column.storage.cast(pa.large_string()), path)
        values, names = held.to_pylist(), names or [path[-1]] * len(column)
        there = [number for number, value in enumerate(values) if value is not None]
        if any(json_fault(values[number]) for number in there):
            name = ".".join(path)
            raise FileRefused(f"列中有无效的 JSON：{name}", f"a column has invalid JSON: {name}")
        new, found = self._work.documents([(names[n], values[n]) for n in there], chosen=self._chosen)
        counts.update(found)
        for number, value in zip(there, new, strict=True):
            values[number] = value
        return pa.ExtensionArray.from_storage(column.type, pa.array(values, held.type).cast(column.type.storage_type))

    def _measures(self, column: Any, path: Path, counts: Counter[str], spelling: bool, names: Names) -> Any:
        there, given = measures.days(column) if kinds.is_day(column.type) else self._numbers_of(column)
        pairs = [(names[number], value) for number, value in zip(there, given, strict=True)]
        new, found = self._work.values(pairs, chosen=self._chosen)
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
