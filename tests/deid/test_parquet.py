"""Parquet: every level of its columns, and nothing beside them."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import FileRefused

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]


def test_parquet_keeps_its_schema(tmp_path: Path) -> None:
    turns = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
    rows = {
        "手机": ["13812345678", None, "１３８１２３４５６７８"],
        "n": [1, 2, 3],
        "turns": [[{"from": "user", "value": "QQ：12345678"}], None, []],
    }
    table = pa.table(rows, schema=pa.schema([("手机", pa.large_string()), ("n", pa.int64()), ("turns", turns)]))
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=2)
    report = deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", ZH, KEYS)
    after = pq.read_table(tmp_path / "out.parquet")
    assert after.schema.equals(table.schema)
    assert report.records == 3
    assert report.counts == {"CN_PHONE": 2, "QQ": 1}
    assert report.output_sha256 == hashlib.sha256((tmp_path / "out.parquet").read_bytes()).hexdigest()
    assert after["n"].to_pylist() == [1, 2, 3]
    assert after["手机"].to_pylist()[1] is None
    assert after["手机"].to_pylist()[0] != "13812345678"
    assert after["turns"].to_pylist()[1:] == [None, []]
    assert after["turns"].to_pylist()[0][0]["value"] != "QQ：12345678"


def test_parquet_numbers_days_and_bytes(tmp_path: Path) -> None:
    noon = datetime(1990, 3, 7, 12, 30)  # noqa: DTZ001 - a column without a time zone
    columns = {
        "phone": pa.array([13812345678, None, 5], pa.int64()),
        "nan": pa.array([13812345678.0, float("nan"), 0.5]),
        "small": pa.array([1, 2, 3], pa.int8()),
        "birth": pa.array([noon.date(), None, noon.date()]),
        "at": pa.array([noon, None, noon], pa.timestamp("ms")),
        "raw": pa.array(["电话13812345678".encode(), b"\xff\xd8", None], pa.binary()),
        "list": pa.array([[13812345678, 7], None, []], pa.list_(pa.int64())),
        "embedding": pa.array([[0.5, 1.5]] * 3),
        "half": pa.array([1, 2, None], pa.float16()),
        "hash": pa.array([2**64 - 1, None, 13812345678], pa.uint64()),
        "loss": pa.array([1e30, float("inf"), 12345.5]),
        "cards": pa.array([{"卡号": [4222020000000000 + 10_000_019 * n for n in range(60)]}, None, {"卡号": []}]),
    }
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=1)
    report = deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", ZH, KEYS)
    after = pq.read_table(tmp_path / "out.parquet")
    new = {name: after[name].to_pylist() for name in after.column_names}
    [same] = Deidentifier(ZH, KEYS).texts(["13812345678"]).texts
    assert new["phone"] == [int(same), None, 5]
    assert new["nan"][::2] == [float(same), 0.5]
    assert new["raw"] == [f"电话{same}".encode(), b"\xff\xd8", None]
    assert new["list"] == [[int(same), 7], None, []]
    moved = new["birth"][0] - noon.date()
    assert moved.days != 0
    assert new["at"] == [noon + moved, None, noon + moved]
    assert (new["half"], int(new["hash"][2])) == ([1, 2, None], int(same))
    assert new["loss"] == [1e30, float("inf"), 12345.5]
    assert (new["small"], new["embedding"]) == ([1, 2, 3], [[0.5, 1.5]] * 3)
    # A card with a leading zero is no number: the column is text, in every row group.
    assert after.schema.field("cards").type.field(0).type.value_type == pa.string()
    assert {len(card) for card in new["cards"][0]["卡号"]} == {16}
    turned = {name for name in columns if after.schema.field(name) != table.schema.field(name)}
    assert turned <= {"cards", "hash"}
    assert report.counts == {"BANK_CARD": 60, "CN_PHONE": 5, "DATE": 4, "NUMBER": 1}


NESTED = {
    "s": [{"a": "13812345678", "b": {"c": "13812345678", "n": 13812345678}}],
    "turns": [[{"from": "13812345678", "value": "13812345678"}]],
    "a": ["13812345678"],
}


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        (["s"], 3), (["s.a"], 5), (["s.b"], 4), (["s.b.c", "a"], 4), (["s.b.n"], 5), (["turns.value"], 5),
        (["turns", "s.a", "s"], 1), (None, 0),
    ],
)  # fmt: skip
def test_fields_are_chosen_as_those_of_json(tmp_path: Path, fields: list[str] | None, left: int) -> None:
    pq.write_table(pa.table(NESTED), tmp_path / "data.parquet")
    deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", ZH, KEYS, fields=fields)
    after = pq.read_table(tmp_path / "out.parquet")
    assert str(after.to_pylist()).count("13812345678") == left
    with pytest.raises(FileRefused, match=r"no such field: s\.x"):
        deidentify_file(tmp_path / "data.parquet", tmp_path / "no", ZH, KEYS, fields=["a", "s.x"])


CODECS = ["ZSTD", "GZIP", "LZ4", "BROTLI", "SNAPPY", "UNCOMPRESSED"]


@pytest.mark.parametrize("compliant", [True, False])
def test_columns_keep_their_codecs(tmp_path: Path, *, compliant: bool) -> None:
    """Those that become text and those within lists, structs and maps too."""
    maps = pa.array([[("13812345678", 13812345678)]], pa.map_(pa.string(), pa.int64()))
    table = pa.table(NESTED | {"m": maps, "n": [13812345678], "t": pa.array(["x"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "data.parquet", use_compliant_nested_type=compliant)
    paths = [column["path_in_schema"] for column in columns_of(tmp_path / "data.parquet")]
    codecs = {path: CODECS[number % len(CODECS)] for number, path in enumerate(paths)}
    given = {path: codec.replace("UNCOMPRESSED", "NONE") for path, codec in codecs.items()}
    pq.write_table(table, tmp_path / "data.parquet", compression=given, use_compliant_nested_type=compliant)
    redacted = policies.load(b"{id: p, version: '1', types: {CN_PHONE: {action: replace}}}")
    deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", redacted, KEYS)
    written = columns_of(tmp_path / "out.parquet")
    assert [column["compression"] for column in written] == list(codecs.values())
    assert all(column["has_dictionary_page"] and column["is_stats_set"] for column in written)


def columns_of(path: Path) -> list[dict[str, Any]]:
    group = pq.read_metadata(path).row_group(0)
    return [group.column(number).to_dict() for number in range(group.num_columns)]


@pytest.mark.parametrize("columns", [{"张三": ["a"], "13812345678": ["b"]}, {"a": [[{"京A12345": 1}]]}])
def test_columns_whose_names_are_data_are_refused(tmp_path: Path, columns: dict[str, list[object]]) -> None:
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    with pytest.raises(FileRefused, match="names of its columns") as refused:
        deidentify_file(tmp_path / "data.parquet", tmp_path / "out", ZH, KEYS)
    assert "138" not in refused.value.zh + refused.value.en


def test_a_broken_page_is_the_files_fault(tmp_path: Path) -> None:
    """Whose end, which tells of all pages, is whole."""
    source = tmp_path / "data.parquet"
    pq.write_table(pa.table({"a": [f"电话 138123{n:05}" for n in range(1000)], "n": list(range(1000))}), source)
    content = bytearray(source.read_bytes())
    content[4:200] = bytes(196)
    source.write_bytes(content)
    with pytest.raises(FileRefused, match="valid Parquet"):
        deidentify_file(source, tmp_path / "out.parquet", ZH, KEYS)
    assert [path.name for path in tmp_path.iterdir()] == ["data.parquet"]


def test_metadata_is_left_out(tmp_path: Path) -> None:
    owner = {"owner": "13777779999"}
    inner = pa.field("b", pa.string(), metadata=owner)
    kinds = {
        "a": pa.string(), "s": pa.struct([inner]), "l": pa.list_(inner),
        "f": pa.list_(pa.field("x", pa.int8(), metadata=owner), 1),
        "m": pa.map_(pa.int8(), pa.field("value", pa.int8(), metadata=owner)),
    }  # fmt: skip
    schema = pa.schema([pa.field(name, kind, metadata=owner) for name, kind in kinds.items()], metadata=owner)
    rows = [{"a": "x", "s": {"b": "y"}, "l": ["z"], "f": [1], "m": [(1, 2)]}]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "data.parquet")
    assert b"13777779999" in (tmp_path / "data.parquet").read_bytes()
    for fields in (None, ["a"]):
        deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", ZH, KEYS, fields=fields)
        after = pq.read_table(tmp_path / "out.parquet")
        assert (after.schema, after.to_pylist()) == (schema, rows)
        assert b"owner" not in (tmp_path / "out.parquet").read_bytes()
        inside = [kind.field(i) for kind in after.schema.types for i in range(kind.num_fields)]
        assert not [field.metadata for field in (*after.schema, *inside) if field.metadata]
        assert not pq.read_schema(tmp_path / "out.parquet").metadata


_PHONE, _FIXED = 13812345678, pa.binary(11)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (_FIXED, [b"13812345678", None, b"\xff" * 11]),
        (pa.struct([("x", _FIXED)]), [{"x": b"13812345678"}, None]),
        (pa.dictionary(pa.int32(), pa.string()), ["13812345678", None]),
        (pa.list_(pa.int64(), 2), [[_PHONE, 5], None, [1, 2]]),
        (pa.list_(pa.string(), 2), [["13812345678", None], None]),
        (pa.list_(pa.struct([("x", pa.list_(pa.int64(), 1))])), [[{"x": [_PHONE]}], None, []]),
    ],
)
def test_values_of_fixed_size_are_rewritten(tmp_path: Path, kind: pa.DataType, rows: list[object]) -> None:
    table = pa.table({"a": pa.array(rows, kind)})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=2)
    report = deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", ZH, KEYS)
    after = pq.read_table(tmp_path / "out.parquet")
    [same] = Deidentifier(ZH, KEYS).texts(["13812345678"]).texts
    assert report.counts == {"CN_PHONE": 1}
    assert after.schema == table.schema
    assert str(after.to_pylist()) == str(table.to_pylist()).replace("13812345678", same)


@pytest.mark.parametrize("kind", [pa.list_view(pa.string()), pa.large_list_view(pa.int64())])
def test_kinds_that_are_not_known_are_refused(tmp_path: Path, kind: pa.DataType) -> None:
    value = "13812345678" if pa.types.is_string(kind.value_type) else 13812345678
    pq.write_table(pa.table({"a": pa.array([[value]], kind)}), tmp_path / "data.parquet")
    with pytest.raises(FileRefused, match="type that is not supported: a"):
        deidentify_file(tmp_path / "data.parquet", tmp_path / "out", ZH, KEYS)


def test_what_no_longer_fits_its_fixed_size_is_refused(tmp_path: Path) -> None:
    rules = b"id: own\nversion: '1'\ntypes: {CN_PHONE: {action: replace}}"
    pq.write_table(pa.table({"a": pa.array([b"13812345678"], _FIXED)}), tmp_path / "data.parquet")
    with pytest.raises(FileRefused, match="type that is not supported: a"):
        deidentify_file(tmp_path / "data.parquet", tmp_path / "out", policies.load(rules), KEYS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    values=st.lists(st.decimals(-(10**22), 10**22, places=2) | st.just(Decimal("13812345678.50"))),
    name=st.sampled_from(["phone", "n"]),
    chosen=st.booleans(),
)
def test_numbers_are_what_they_are_in_json(tmp_path: Path, values: list[Decimal], name: str, *, chosen: bool) -> None:
    fields = [name] if chosen else None
    (tmp_path / "in").write_text(f'{{"{name}": [{", ".join(map(str, values))}]}}')
    report = deidentify_file(tmp_path / "in", tmp_path / "out", ZH, KEYS, format="json", fields=fields)
    spelled = json.loads((tmp_path / "out").read_text(), parse_float=str, parse_int=str)[name]
    pq.write_table(pa.table({name: pa.array(values, pa.decimal128(38, 2))}), tmp_path / "in.parquet")
    same = deidentify_file(tmp_path / "in.parquet", tmp_path / "out.parquet", ZH, KEYS, fields=fields)
    assert list(map(str, pq.read_table(tmp_path / "out.parquet")[name].to_pylist())) == spelled
    assert same.counts == report.counts


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.decimal128(38, 0), Decimal(89860012345678901234)),
        (pa.decimal128(38, 2), Decimal("13812345678.50")),
        (pa.float64(), 8.986001234567891e19),
        (pa.float64(), 13812345678.5),
        (pa.float32(), 13812345856.0),
    ],
)
def test_no_number_is_too_large_or_too_fine(tmp_path: Path, kind: pa.DataType, value: object) -> None:
    pq.write_table(pa.table({"phone": pa.array([value, None, 0], kind)}), tmp_path / "data.parquet")
    report = deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", ZH, KEYS)
    first, *rest = pq.read_table(tmp_path / "out.parquet")["phone"].to_pylist()
    assert sum(report.counts.values()) == 1
    assert int(float(first)) != int(float(str(value)))
    assert [rest[0], float(rest[1])] == [None, 0]


def test_a_fraction_alone_makes_no_text_of_a_column(tmp_path: Path) -> None:
    given = [1690000000.1234567 + n / 7 for n in range(100)]
    pq.write_table(pa.table({"at": given}), tmp_path / "data.parquet")
    deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", ZH, KEYS)
    after = pq.read_table(tmp_path / "out.parquet")["at"]
    assert after.type == pa.float64()
    assert not set(after.to_pylist()) & set(given)


@pytest.mark.parametrize("value", [13812345678, 13812345678.0, datetime(1990, 3, 7)])  # noqa: DTZ001
def test_what_is_kept_is_counted(tmp_path: Path, value: object) -> None:
    rules = b"{id: own, version: '1', types: {CN_PHONE: {action: keep}, DATE: {action: keep}}}"
    table = pa.table({"phone": [value], "list": [[value]]})
    pq.write_table(table, tmp_path / "data.parquet")
    report = deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", policies.load(rules), KEYS)
    assert sum(report.counts.values()) == 2
    assert pq.read_table(tmp_path / "out.parquet") == table


_NANOSECOND = 639_232_200_000_000_001  # 1990-04-04


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.timestamp("ns"), [_NANOSECOND, None]),
        (pa.timestamp("ns", "Asia/Shanghai"), [_NANOSECOND, None]),
        (pa.timestamp("s"), [639_232_200, 400_000_000_000]),
        (pa.date32(), [7398, 3_000_000]),
        (pa.duration("ns"), [1, None]),
        (pa.time64("ns"), [1, None]),
    ],
)
def test_values_that_python_cannot_hold(tmp_path: Path, kind: pa.DataType, values: list[int | None]) -> None:
    """Days before and after those of `datetime`, and nanoseconds."""
    leaves = pa.array(values, pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    records = pa.StructArray.from_arrays([leaves], fields=[pa.field("x", kind)])
    columns = {"a": leaves, "l": pa.ListArray.from_arrays([0, 2, 2], leaves),
               "s": pa.ListArray.from_arrays([0, 1, 2], records)}  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    days = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    for action in ("pseudonymise", "hash", "keep"):
        policy = policies.load(f"{{id: own, version: '1', types: {{DATE: {{action: {action}}}}}}}".encode())
        report = deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", policy, KEYS)
        before, after = pq.read_table(tmp_path / "data.parquet"), pq.read_table(tmp_path / "out.parquet")
        assert report.counts == ({"DATE": 3} if days else {})
        assert (before == after) is (action == "keep" or not days)
        assert (after.schema.field("a").type == pa.string()) is (days and action == "hash")
        if days and action == "hash":
            assert after["a"][0].as_py().startswith("<DATE:")
            assert after["a"].null_count == values.count(None)


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    cards = pa.array([4222020000000000 + 10_000_019 * n for n in range(60)])
    twins = pa.StructArray.from_arrays([pa.array([0.5] * 60), cards], names=["卡号", "卡号"])
    for table in (
        pa.table([pa.array([0.5] * 60), cards, cards], names=["卡号.x", "卡号", "卡号"]),
        pa.table({"list": pa.ListArray.from_arrays(range(61), twins)}),
    ):
        pq.write_table(table, tmp_path / "data.parquet")
        deidentify_file(tmp_path / "data.parquet", tmp_path / "out.parquet", ZH, KEYS)
        after = str(pq.ParquetFile(tmp_path / "out.parquet").read())
        assert "422202" not in after
        assert '"0' in after


@pytest.mark.parametrize("fields", [None, ["a"]])
def test_text_that_is_not_utf8_is_refused(tmp_path: Path, fields: list[str] | None) -> None:
    broken = pa.array([b"13812345678 \xff", b"x"]).view(pa.string())
    for column in (broken, broken.dictionary_encode(), pa.ListArray.from_arrays([0, 1, 2], broken)):
        pq.write_table(pa.table({"a": column}), tmp_path / "data.parquet")
        with pytest.raises(FileRefused, match="a column has invalid UTF-8: a"):
            deidentify_file(tmp_path / "data.parquet", tmp_path / "out", ZH, KEYS, fields=fields)
    pq.write_table(pa.table({"abcdefgh": ["x"]}), tmp_path / "data.parquet", store_schema=False)
    content = (tmp_path / "data.parquet").read_bytes()
    (tmp_path / "data.parquet").write_bytes(content.replace(b"abcdefgh", b"abc\xff\xfefgh"))
    with pytest.raises(FileRefused, match="is not a valid Parquet file"):
        deidentify_file(tmp_path / "data.parquet", tmp_path / "out", ZH, KEYS, fields=fields)
