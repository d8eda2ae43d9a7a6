"""What kinds of columns Arrow has, by what becomes of their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.runtime.deid.refusals import FileRefused

Path = tuple[str, ...]


def is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_number(kind: Any) -> bool:
    """But no float16, which is too small to be somebody's."""
    import pyarrow as pa

    floating = pa.types.is_floating(kind) and not pa.types.is_float16(kind)
    return bool(pa.types.is_integer(kind) or floating or pa.types.is_decimal(kind))


def is_day(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def is_harmless(kind: Any) -> bool:
    """Whether its values are nobody's; of one that is not known here nothing can be said."""
    import pyarrow as pa

    of = pa.types
    return any(
        is_kind(kind)
        for is_kind in (of.is_null, of.is_boolean, of.is_float16, of.is_time, of.is_duration, of.is_interval)
    )


def held_as(kind: Any) -> Any | None:
    """The kind that says the same in a plainer way, where there is one."""
    import pyarrow as pa

    of = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    if of.is_dictionary(kind):
        return kind.value_type
    if of.is_fixed_size_list(kind):
        return pa.list_(kind.value_field)
    if of.is_string_view(kind):
        return pa.string()
    return pa.binary() if of.is_binary_view(kind) else None


def is_json(kind: Any) -> bool:
    import pyarrow as pa

    return isinstance(kind, pa.JsonType)


def offsets(lists: Any) -> Any:
    """Where the values of each begin in the flattened ones, and where the last ends."""
    import pyarrow as pa
    import pyarrow.compute as pc

    offset = pa.int32() if pa.types.is_list(lists.type) else pa.int64()
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(lists), 0))
    return pa.concat_arrays([pa.array([0], offset), ends.cast(offset)])


def not_supported(path: Path) -> FileRefused:
    name = ".".join(path)
    return FileRefused(f"不支持的列类型：{name}", f"a column of a type that is not supported: {name}")


def names(kind: Any, above: Path = ()) -> Iterator[Path]:
    """The paths of all fields of a schema or a type, on every level of lists, structs and values of maps."""
    import pyarrow as pa

    if not isinstance(kind, pa.Schema):
        while is_list(kind) or pa.types.is_map(kind):
            kind = kind.item_type if pa.types.is_map(kind) else kind.value_type
        if not pa.types.is_struct(kind):
            return
    for field in kind:
        yield (*above, field.name)
        yield from names(field.type, (*above, field.name))
