"""Names and types of the fields of records, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from contracts.field_names import is_data
from services.datasets.checking.limits import LONGEST_NAME, Limits

_TYPES: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "array",
    dict: "object",
}
_MOST_SIGNATURES = 1_024

_Signature = tuple[tuple[str, ...], tuple[type, ...]]


class Field(msgspec.Struct, frozen=True):
    """`types` are JSON's, in alphabetical order, or the column type of a Parquet file; `present` counts records."""

    name: str
    types: tuple[str, ...]
    present: int


class Fields:
    """Counts how often records of the same keys and types occur, so that a record costs one look-up."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._signatures: Counter[_Signature] = Counter()
        self._types: dict[str, set[str]] = {}
        self._present: Counter[str] = Counter()
        self.complete = True

    def observe(self, record: Mapping[str, object]) -> None:
        self._signatures[tuple(record), tuple(map(type, record.values()))] += 1
        if len(self._signatures) >= _MOST_SIGNATURES:
            self._fold()

    def add_columns(self, names: Sequence[str], types: Sequence[str], present: Sequence[int]) -> None:
        """Of a file whose fields are known from its header: none of them where that is a record."""
        if any(map(is_data, names)):
            self.complete = False
            return
        for name, type_, times in zip(names, types, present, strict=True):
            self.add(name, (type_,), times)

    def add(self, name: str, types: tuple[str, ...], present: int) -> None:
        """What is told stays on record, so never what is a value."""
        name = name[:LONGEST_NAME]
        if is_data(name):
            self.complete = False
            return
        if name not in self._types and len(self._types) >= self._limits.fields:
            self.complete = False
            return
        self._types.setdefault(name, set()).update(types)
        self._present[name] += present

    def found(self) -> tuple[Field, ...]:
        """In the order in which they were seen first."""
        self._fold()
        return tuple(Field(name, tuple(sorted(types)), self._present[name]) for name, types in self._types.items())

    def _fold(self) -> None:
        for (names, types), times in self._signatures.items():
            for name, type_ in zip(names, types, strict=True):
                self.add(name, (_TYPES[type_],), times)
        self._signatures.clear()
