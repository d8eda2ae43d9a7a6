"""Columns of Parquet: texts, and numbers and days that may be somebody's, on every level of lists and structs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from services.runtime.deid.files.work import Work
from services.runtime.deid.refusals import FileRefused

Path = tuple[str, ...]

_SHORTEST_NUMBER = 10_000
_LARGEST = 1e19  # of floats: what has more digits is a measure
_UNITS = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
"""Of a day."""


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
            if _is_number(kind.value_type) and path not in self.spelled and not self._numbers_of(column.flatten())[0]:
                return column  # embeddings, for instance
            whole = pa.array(column.to_pylist(), kind)  # offsets from 0 and no values hidden under nulls
            values = self.rewritten(whole.values, path, counts, spelling=spelling)
            build = pa.ListArray if pa.types.is_list(kind) else pa.LargeListArray
            new = self.field(pa.field("", kind), path[:-1], path).type
            return column if spelling else build.from_arrays(whole.offsets, values, type=new, mask=whole.is_null())
        if _is_text(kind) or _is_bytes(kind):
            return column if spelling else self._texts(column, path, counts)
        if _is_number(kind) or _is_day(kind):
            return self._measures(column, path, counts, spelling=spelling)
        if self._may_be_data(column, path):
            raise _not_supported(path)
        return column

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
        elif pa.types.is_struct(kind) or _is_list(kind):
            parts = column.flatten() if pa.types.is_struct(kind) else [column.flatten()]
        elif _is_number(kind) or _is_day(kind):
            _, given = _days(column) if _is_day(kind) else self._numbers_of(column)
            return self._work.values(given, path[-1], chosen=self._chosen)[0] != given
        elif pa.types.is_fixed_size_binary(kind):
            texts = [value for value in column.to_pylist() if value is not None and _is_unicode(value)]
            return self._work.rewritten(texts, path[-1])[0] != texts
        else:
            return not any(is_kind(kind) for is_kind in _harmless())
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

    def _numbers_of(self, column: Any) -> tuple[list[int], list[Any]]:
        return _numbers(column, least=1 if self._chosen else _SHORTEST_NUMBER)

    def _texts(self, column: Any, path: Path, counts: Counter[str]) -> Any:
        """Bytes are text where they are UTF-8."""
        import pyarrow as pa

        values = [text.encode() if isinstance(text, str) else text for text in column.to_pylist()]
        there = [number for number, value in enumerate(values) if value is not None and _is_unicode(value)]
        new, found = self._work.rewritten([values[number] for number in there], path[-1])
        counts.update(found)
        for number, value in zip(there, new, strict=True):
            values[number] = value
        if pa.types.is_fixed_size_binary(column.type) and set(map(len, new)) - {column.type.byte_width}:
            raise _not_supported(path)  # what took a value's place has another length
        texts = _is_text(column.type)
        return pa.array([value.decode() if texts and value is not None else value for value in values], column.type)

    def _measures(self, column: Any, path: Path, counts: Counter[str], *, spelling: bool) -> Any:
        import pyarrow as pa

        days = _is_day(column.type)
        there, given = _days(column) if days else self._numbers_of(column)
        new, found = self._work.values(given, path[-1], chosen=self._chosen)
        if new == given and path not in self.spelled:
            return column
        values = column.cast(_whole_kind(column.type)).to_pylist()
        fits = True
        for number, before, after in zip(there, given, new, strict=True):
            if before != after:
                fits &= _put(values, number, before, after, column.type)
        if fits and path not in self.spelled:
            fits = _fits(values, column.type)
        if spelling:
            if not fits:
                self.spelled.add(path)
            return column
        counts.update(found)
        if path not in self.spelled:
            return pa.array(values, _whole_kind(column.type)).cast(column.type)
        texts = [_as_text(value) for value in column.to_pylist()]
        for number, before, after in zip(there, given, new, strict=True):
            if before != after:
                texts[number] = str(after)
        return pa.array(texts, pa.string())


def _numbers(column: Any, *, least: int) -> tuple[list[int], list[Any]]:
    """Where whole numbers of at least so much are, and those."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        size = pc.abs(column.cast(pa.float64()))
        large = pc.and_(pc.greater_equal(size, float(least)), pc.less(size, _LARGEST))
        large = pc.and_(large, pc.equal(pc.floor(column), column))
    elif kind.bit_width == 8 and least > 127:
        return [], []
    else:
        large = pc.greater_equal(column, pa.scalar(least, kind))
        if pa.types.is_signed_integer(kind):
            large = pc.or_(large, pc.less_equal(column, pa.scalar(-least, kind)))
    there = pc.indices_nonzero(pc.fill_null(large, False)).to_pylist()
    return there, [int(value) for value in column.take(pa.array(there, pa.int64())).to_pylist()]


def _days(column: Any) -> tuple[list[int], list[Any]]:
    """Where days of the years that dates are moved in are, and those as ISO 8601 writes them."""
    days = column.cast(_whole_kind(column.type)).to_pylist()
    per_day = _per_day(column.type)
    known = range(_FIRST, _LAST + 1)
    there = [number for number, value in enumerate(days) if value is not None and value // per_day in known]
    return there, [date.fromordinal(_EPOCH + days[number] // per_day).isoformat() for number in there]


_EPOCH = date(1970, 1, 1).toordinal()
_FIRST, _LAST = date(1900, 1, 1).toordinal() - _EPOCH, date(2099, 12, 31).toordinal() - _EPOCH


def _put(values: list[Any], number: int, before: Any, after: Any, kind: Any) -> bool:
    """Whether the value is one of the column's kind after it changed."""
    if _is_day(kind):
        try:
            moved = (date.fromisoformat(after) - date.fromisoformat(before)).days
        except ValueError:
            return False
        values[number] += moved * _per_day(kind)
        return True
    if not isinstance(after, int):
        return False
    values[number] = Decimal(after) if isinstance(values[number], Decimal) else type(values[number])(after)
    return int(values[number]) == after


def _fits(values: Sequence[Any], kind: Any) -> bool:
    import pyarrow as pa

    try:
        pa.array(values, _whole_kind(kind)).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return False
    return True


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _whole_kind(kind: Any) -> Any:
    """What its values are counted in, where they are days; else itself."""
    import pyarrow as pa

    if pa.types.is_date32(kind):
        return pa.int32()
    return pa.int64() if _is_day(kind) else kind


def _per_day(kind: Any) -> int:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return _UNITS[kind.unit]
    return _UNITS["ms"] if pa.types.is_date64(kind) else 1


def _harmless() -> tuple[Any, ...]:
    """Kinds whose values are nobody's; of one that is not known here nothing can be said."""
    import pyarrow as pa

    of = pa.types
    return of.is_null, of.is_boolean, of.is_float16, of.is_time, of.is_duration, of.is_interval


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(kind: Any) -> bool:
    """But no float16, which is too small to be somebody's."""
    import pyarrow as pa

    floating = pa.types.is_floating(kind) and not pa.types.is_float16(kind)
    return bool(pa.types.is_integer(kind) or floating or pa.types.is_decimal(kind))


def _is_day(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _is_unicode(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_supported(path: Path) -> FileRefused:
    name = ".".join(path)
    return FileRefused(f"不支持的列类型：{name}", f"a column of a type that is not supported: {name}")


def names(kind: Any, above: Path = ()) -> Iterator[Path]:
    """The paths of all fields of a schema or a type, on every level of lists and structs."""
    import pyarrow as pa

    if not isinstance(kind, pa.Schema):
        while _is_list(kind):
            kind = kind.value_type
        if not pa.types.is_struct(kind):
            return
    for field in kind:
        yield (*above, field.name)
        yield from names(field.type, (*above, field.name))
