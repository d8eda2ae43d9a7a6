"""Fields that are asked for: by the names on the way to them, joined by dots, wherever those have dots themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.deid import json_strings, policies
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import FileRefused

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]
PHONE = "13812345678"


def left(directory: Path, kind: str, fields: list[str]) -> int:
    deidentify_file(directory / f"in.{kind}", directory / f"out.{kind}", ZH, KEYS, fields=fields)
    if kind == "parquet":
        return str(pq.read_table(directory / "out.parquet").to_pylist()).count(PHONE)
    return (directory / f"out.{kind}").read_text(encoding="utf-8").count(PHONE)


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("field", ["a.b", "a.b.c", "a", "a.b.c.d", "é.b", "x", "x.", "x.."])
def test_names_may_have_dots(tmp_path: Path, field: str, *, escaped: bool) -> None:
    row = {"a": {"b": PHONE, "b.c": PHONE, "z": PHONE}, "a.b": [PHONE], "a.b.c": {"d": PHONE}, "é.b": PHONE}
    row |= {"x": {"": {"": PHONE}}}
    text = json.dumps(row, ensure_ascii=escaped)
    (tmp_path / "in.json").write_text(text, encoding="utf-8")
    (tmp_path / "in.jsonl").write_text(f"{text}\n{{}}\n", encoding="utf-8")
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), tmp_path / "in.parquet")
    expected = sum(not is_under(path, [field]) for path in leaves(row))
    for kind in ("json", "jsonl", "parquet"):
        assert left(tmp_path, kind, [field]) == expected
        with pytest.raises(FileRefused, match=r"no such field: a\.c"):
            left(tmp_path, kind, [field, "a.c"])


def leaves(value: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [path for name, inner in value.items() for path in leaves(inner, (*above, name))]
    if isinstance(value, list):
        return [path for inner in value for path in leaves(inner, above)]
    return [above]


def is_under(path: tuple[str, ...], fields: list[str]) -> bool:
    return any(".".join(path[:length]) in fields for length in range(1, len(path) + 1))


NAMES = st.text("a.é", max_size=3)
VALUES = st.recursive(
    st.just(PHONE), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


@settings(deadline=None)
@given(
    documents=st.lists(VALUES, min_size=1, max_size=3),
    fields=st.lists(st.text("a.é", max_size=5)),
    escaped=st.booleans(),
)
def test_what_is_under_a_field(documents: list[Any], fields: list[str], *, escaped: bool) -> None:
    lines = [json.dumps(document, ensure_ascii=escaped).encode() + b"\n" for document in documents]
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    found = json_strings.of(b"".join(lines), np.array(starts), fields)
    paths = [path for document in documents for path in leaves(document)]
    assert sum(~found.names) == sum(is_under(path, fields) for path in paths)
    every = {".".join(path[:length]) for path in paths for length in range(1, len(path) + 1)}
    assert found.fields >= set(fields) & every


def test_a_field_of_many_parts_is_one_way_through_each_record(tmp_path: Path) -> None:
    names = ["a"] * 64
    value: object = PHONE
    for name in names:
        value = {name: value, "a.a": {}}
    (tmp_path / "in.jsonl").write_text(json.dumps(value) + "\n")
    assert left(tmp_path, "jsonl", [".".join(names)]) == 0
