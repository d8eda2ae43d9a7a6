"""Numbers and days of a column, as JSON spells them, and back in their kind where they still fit it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from services.runtime.deid import calendar
from services.runtime.deid.files.column_kinds import is_day

_UNITS = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
"""Of a day."""
_EPOCH = date(1970, 1, 1).toordinal()
_FIRST = calendar.FIRST.toordinal() - _EPOCH


def numbers(column: Any, *, least: int) -> tuple[list[int], list[bytes]]:
    """Where numbers of at least so much are, and those as JSON writes them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        size = pc.abs(column.cast(pa.float64()))
        large = pc.and_(pc.greater_equal(size, float(least)), pc.is_finite(size))
    elif kind.bit_width == 8 and least > 127:
        return [], []
    else:
        large = pc.greater_equal(column, pa.scalar(least, kind))
        if pa.types.is_signed_integer(kind):
            large = pc.or_(large, pc.less_equal(column, pa.scalar(-least, kind)))
    there = pc.indices_nonzero(pc.fill_null(large, False)).to_pylist()
    chosen = column.take(pa.array(there, pa.int64()))
    if pa.types.is_integer(kind):
        return there, chosen.cast(pa.string()).cast(pa.binary()).to_pylist()
    return there, [_spelled(value).encode() for value in chosen.to_pylist()]


def days(column: Any) -> tuple[list[int], list[bytes]]:
    """Where days of the years that dates are moved in are, and those as JSON strings in ISO 8601."""
    counted = column.cast(_counted_in(column.type)).to_pylist()
    per_day = _per_day(column.type)
    known = range(_FIRST, _FIRST + calendar.COUNT)
    there = [number for number, value in enumerate(counted) if value is not None and value // per_day in known]
    return there, [b'"%b"' % _day(counted[number] // per_day).isoformat().encode() for number in there]


def replaced(column: Any, changed: Mapping[int, tuple[bytes, bytes]]) -> Any | None:
    """With others in the place of values, by their number the JSON of before and after; None where one fits no more."""
    import pyarrow as pa

    kind = column.type
    values = column.cast(_counted_in(kind)).to_pylist()
    try:
        if is_day(kind):
            per_day = _per_day(kind)
            for number, (before, after) in changed.items():
                moved = date.fromisoformat(json.loads(after)) - date.fromisoformat(json.loads(before))
                values[number] += moved.days * per_day
        else:
            read = int if pa.types.is_integer(kind) else _decimal if pa.types.is_decimal(kind) else _float
            for number, (_, after) in changed.items():
                values[number] = read(after)
        new = pa.array(values, _counted_in(kind)).cast(kind)
    except (ValueError, ArithmeticError, TypeError, pa.ArrowInvalid):
        return None
    places = pa.array(list(changed), pa.int64())
    held = new.cast(_counted_in(kind)).take(places).to_pylist()
    exact = all(int(values[number]) == int(value) for number, value in zip(changed, held, strict=True))
    return new if exact else None  # short floats round


def texts(column: Any, changed: Mapping[int, tuple[bytes, bytes]]) -> Any:
    """All values as texts, those of `changed` as what came after."""
    import pyarrow as pa

    kind = column.type
    if is_day(kind):
        values = _days_as_texts(column)
    else:
        values = [None if value is None else _spelled(value) for value in column.to_pylist()]
    for number, (_, after) in changed.items():
        values[number] = json.loads(after) if after.startswith(b'"') else after.decode()
    return pa.array(values, pa.string())


def _days_as_texts(column: Any) -> list[str | None]:
    """In ISO 8601, in UTC where there is a time zone; Python has no nanoseconds, nor years after 9999."""
    import pyarrow as pa
    import pyarrow.compute as pc

    zone = pa.types.is_timestamp(column.type) and column.type.tz
    if zone:
        column = column.cast(pa.int64()).cast(pa.timestamp(column.type.unit))
    values = pc.replace_substring_regex(column.cast(pa.string()), r"\.0+$", "").to_pylist()
    return [f"{value}Z" if zone and value is not None else value for value in values]


def _spelled(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _decimal(token: bytes) -> Decimal:
    return Decimal(token.decode())


def _float(token: bytes) -> float:
    """Its fraction as exact as may be. Raises ValueError where the whole part is another."""
    value, exact = float(token), _decimal(token)
    if int(value) != int(exact):
        raise ValueError("rounded")
    return value


def _day(number: int) -> date:
    return date.fromordinal(_EPOCH + number)


def _counted_in(kind: Any) -> Any:
    """What its values are counted in, where they are days; else itself."""
    import pyarrow as pa

    if pa.types.is_date32(kind):
        return pa.int32()
    return pa.int64() if is_day(kind) else kind


def _per_day(kind: Any) -> int:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return _UNITS[kind.unit]
    return _UNITS["ms"] if pa.types.is_date64(kind) else 1
