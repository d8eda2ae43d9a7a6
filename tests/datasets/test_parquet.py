"""Parquet files: whole, truncated, damaged and made to hurt."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.datasets.checker import Bounds, Checker
from services.datasets.checking.fields import Field
from services.datasets.checking.findings import Problem, Verdict
from services.datasets.checking.limits import MIB
from tests.datasets.checked import checked

TURNS = [{"role": "user", "content": "你好"}]


def parquet(directory: Path, columns: dict[str, Any], **options: Any) -> bytes:
    file = directory / "made.parquet"
    pq.write_table(pa.table(columns), file, **options)
    return file.read_bytes()


def test_records_and_columns_with_their_types(tmp_path: Path) -> None:
    content = parquet(tmp_path, {"text": ["a", None, "c"], "n": [1, 2, 3]}, row_group_size=2)
    for name in ("data.parquet", "data"):
        found = checked(tmp_path, name, content)
        assert found == Verdict(
            verdict="valid",
            format="parquet",
            records=3,
            fields=(Field("text", ("string",), 2), Field("n", ("int64",), 3)),
            training_format="text",
        )


@pytest.mark.parametrize(
    ("columns", "training_format"),
    [
        ({"instruction": ["a"], "input": [""], "output": ["b"]}, "alpaca"),
        ({"messages": [TURNS]}, "sharegpt"),
        ({"conversations": [[{"from": "human", "value": "a"}]]}, "sharegpt"),
        ({"prompt": ["p"], "chosen": ["a"], "rejected": ["b"]}, "preference"),
        ({"prompt": ["p"], "chosen": [TURNS], "rejected": [TURNS]}, "preference"),
        pytest.param({"text": pa.array(["a", "a"]).dictionary_encode()}, "text", id="a dictionary of texts"),
        pytest.param({"text": pa.array(["a"], pa.large_string())}, "text", id="large texts"),
        ({"messages": ["a"]}, None),
        ({"messages": [[{"role": "user"}]]}, None),
        ({"text": [1]}, None),
    ],
    ids=str,
)
def test_training_formats_are_told_by_the_columns(
    tmp_path: Path, columns: dict[str, Any], training_format: str | None
) -> None:
    found = checked(tmp_path, "data.parquet", parquet(tmp_path, columns))
    assert (found.verdict, found.training_format) == ("valid", training_format)


def test_a_truncated_file_is_invalid_wherever_it_ends(tmp_path: Path) -> None:
    content = parquet(tmp_path, {"text": ["a", "b"] * 500})
    for end in {1, 4, 11, 12, len(content) // 2, len(content) - 9, len(content) - 1}:
        found = checked(tmp_path, "data.parquet", content[:end])
        assert (found.verdict, found.reason) == ("invalid", "parquet_truncated"), end


def test_a_footer_that_cannot_be_is_not_read(tmp_path: Path) -> None:
    content = parquet(tmp_path, {"text": ["a"]})
    for length, reason in ((len(content), "parquet_damaged"), (1 << 31, "parquet_damaged"), (0, "parquet_damaged")):
        found = checked(tmp_path, "data.parquet", content[:-8] + length.to_bytes(4, "little") + b"PAR1")
        assert (found.verdict, found.reason) == ("invalid", reason)
    assert checked(tmp_path, "data.parquet", content, footer_bytes=10).reason == "footer_too_long"
    assert checked(tmp_path, "data.parquet", content[:-4] + b"PARE").reason == "parquet_encrypted"


def test_text_that_is_not_utf8_is_told_by_its_row(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(1_000)]
    content = parquet(tmp_path, {"text": texts}, compression=None, use_dictionary=False)
    found = checked(tmp_path, "data.parquet", content.replace(b"text 700", b"text \xff00"))
    assert (found.verdict, found.reason, found.records) == ("invalid", "not_utf8", 999)
    assert found.problems == (Problem(701, "not_utf8"),)


def test_bounds_on_columns_and_nesting(tmp_path: Path) -> None:
    wide = parquet(tmp_path, {f"column {number}": [1] for number in range(30)})
    assert checked(tmp_path, "data.parquet", wide, columns=20).reason == "too_many_fields"
    deep = parquet(tmp_path, {"a": [[[[[[1]]]]]]})
    assert checked(tmp_path, "data.parquet", deep, nesting=5).reason == "too_deeply_nested"
    assert checked(tmp_path, "data.parquet", deep, nesting=6).verdict == "valid"


async def test_damaged_pages_are_found_and_no_damage_hurts(tmp_path: Path) -> None:
    """In processes of their own, as the library that reads them is native code."""
    content = parquet(tmp_path, {"messages": [TURNS] * 2_000, "n": list(range(2_000))}, write_page_checksum=True)
    moments = random.Random(7)
    file = tmp_path / "damaged"
    verdicts = []
    for _ in range(8):
        damaged = bytearray(content)
        for _ in range(8):
            damaged[moments.randrange(4, len(content) - 8)] ^= moments.randrange(1, 256)
        file.write_bytes(damaged)
        verdicts.append(await Checker()(file, "data.parquet"))
    assert {verdict.verdict for verdict in verdicts} == {"invalid"}


async def test_what_unpacks_to_too_much_ends_in_its_own_process(tmp_path: Path) -> None:
    file = tmp_path / "bomb"
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 200), ["x" * (4 * MIB)])
    file.write_bytes(parquet(tmp_path, {"text": text}, dictionary_pagesize_limit=64 * MIB, store_schema=False))
    assert file.stat().st_size < MIB
    found = await Checker(Bounds(memory=300 * MIB))(file, "data.parquet")
    assert (found.verdict, found.reason) == ("invalid", "too_much_memory")


def test_no_value_is_told_as_the_name_of_a_column(tmp_path: Path) -> None:
    first = pa.table({"李雷雷": ["a"], "138-1234-9876": ["b"]})
    inside = pa.table({"a": [{"b": [{"138-1234-9876": 1}]}], "c": [{"d": 1}]})
    for table, fields in ((first, []), (inside, [("a", ("struct",)), ("c", ("struct<d: int64>",))])):
        pq.write_table(table, tmp_path / "written.parquet")
        found = checked(tmp_path, "data.parquet", (tmp_path / "written.parquet").read_bytes())
        assert [(field.name, field.types) for field in found.fields] == fields
