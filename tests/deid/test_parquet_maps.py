"""Parquet's maps, which are objects of JSON, and columns that hold in another way what plainer ones do."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import FileRefused

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]
PHONE = 13812345678
NUMBERS = pa.map_(pa.int64(), pa.int64())


def done(directory: Path, column: pa.Array, fields: list[str] | None = None) -> tuple[pa.ChunkedArray, dict[str, int]]:
    pq.write_table(pa.table({"a": column}), directory / "data.parquet")
    report = deidentify_file(directory / "data.parquet", directory / "out.parquet", ZH, KEYS, fields=fields)
    return pq.read_table(directory / "out.parquet")["a"], report.counts


def test_maps_that_count_stay(tmp_path: Path) -> None:
    column = pa.array([[(1, 20_000), (2, 0)], None, []], NUMBERS)
    assert done(tmp_path, column) == (pa.chunked_array([column]), {})


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (NUMBERS, [(1, PHONE)]),
        (NUMBERS, [(PHONE, 1)]),
        (pa.list_(NUMBERS), [[(1, PHONE)]]),
        (pa.struct([("m", NUMBERS)]), {"m": [(1, PHONE)]}),
        (pa.map_(pa.int8(), pa.list_(pa.int64(), 1)), [(1, [PHONE])]),
        (pa.map_(pa.int8(), pa.binary(11)), [(1, b"13812345678")]),
        (pa.map_(pa.string(), pa.struct([("x", pa.int64())])), [("a", {"x": PHONE}), ("b", None)]),
        (pa.map_(pa.string(), NUMBERS), [("a", [(1, PHONE)]), ("b", None)]),
        (pa.map_(pa.dictionary(pa.int8(), pa.string()), pa.int8()), [("13812345678", 1)]),
        (pa.string_view(), "13812345678"),
        (pa.list_(pa.binary_view()), [b"13812345678", None]),
        (pa.json_(), '{"b": [13812345678, null]}'),
        (pa.uuid(), b"13812345678....."),
    ],
)
def test_what_they_hold_is_rewritten(tmp_path: Path, kind: pa.DataType, row: object) -> None:
    column = pa.array([None, row, None], kind)
    [same] = Deidentifier(ZH, KEYS).texts(["13812345678"]).texts
    for fields in (None, ["a"]):
        after, counts = done(tmp_path, column, fields)
        assert after.type == kind
        assert counts["CN_PHONE"] == 1
        before, new = str(_plain(column).to_pylist()), str(_plain(after.combine_chunks()).to_pylist())
        assert same in new
        if fields is None:
            assert new == before.replace("13812345678", same)


def _plain(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def test_days_in_maps_move(tmp_path: Path) -> None:
    day = datetime(1990, 3, 7).date()  # noqa: DTZ001
    after, counts = done(tmp_path, pa.array([[(1, day)]], pa.map_(pa.int8(), pa.date32())))
    assert counts == {"DATE": 1}
    assert after.to_pylist() != [[(1, day)]]


ROWS: list[dict[str, object]] = [
    {"密码": "Zs19880101", "n": "x"},
    {"微信": "zhangsan_88", "col_12": "x"},
    {"QQ": "12345678", "13912345678": "", "a.b": "13812345678"},
]


@pytest.mark.parametrize("wrapped", [False, True])
def test_keys_name_values_as_names_of_fields_do(tmp_path: Path, *, wrapped: bool) -> None:
    for rows in (ROWS, [{"手机": 623456, "n": 5}, {"col_12": PHONE, "13912345678": 7}]):
        given = [{key: [value] if wrapped else value for key, value in row.items()} for row in rows]
        (tmp_path / "in").write_text("\n".join(json.dumps({"a": row}, ensure_ascii=False) for row in given))
        report = deidentify_file(tmp_path / "in", tmp_path / "out", ZH, KEYS, format="jsonl")
        leaf = pa.string() if rows is ROWS else pa.int64()
        kind = pa.map_(pa.string(), pa.list_(leaf) if wrapped else leaf)
        after, counts = done(tmp_path, pa.array([list(row.items()) for row in given], kind))
        expected = [json.loads(line)["a"] for line in (tmp_path / "out").read_text(encoding="utf-8").splitlines()]
        assert [dict(row) for row in after.to_pylist()] == expected
        assert counts == report.counts


def test_text_that_should_be_json(tmp_path: Path) -> None:
    content = ['{"t": "a\\n13812345678",\n "13912345678": 1}', None, '"x"', "5"]
    storage = pa.array(content, pa.large_string())
    after, counts = done(tmp_path, pa.ExtensionArray.from_storage(pa.json_(pa.large_string()), storage))
    assert counts == {"CN_PHONE": 2}
    assert after.to_pylist()[1:] == content[1:]
    assert after.to_pylist()[0].startswith('{"t": "a\\n')
    assert "13812345678" not in str(after)
    with pytest.raises(FileRefused, match="a column has invalid JSON: a"):
        done(tmp_path, pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{13812345678"])))
