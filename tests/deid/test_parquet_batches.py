"""Row groups of Parquet are done in batches, which nothing but progress shows."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.runtime.deid import policies
from services.runtime.deid.files import deidentify_file, parquet
from services.runtime.deid.keys import Keys
from services.runtime.deid.refusals import Canceled

KEYS = Keys(b"a secret of this installation")
ZH = policies.built_in()["zh-pii"]
PHONES = [13812345678 + n for n in range(20)]
TEXTS = [f"手机 {phone}" if n % 3 else None for n, phone in enumerate(PHONES)]
WORDS = pa.array(TEXTS).dictionary_encode()
COLUMNS = {
    "text": pa.array(TEXTS),
    "word": WORDS,
    "words": pa.ListArray.from_arrays([*range(0, 20, 2), *[20] * 11], WORDS),
    "worded": pa.StructArray.from_arrays([WORDS], ["x"]),
    "phones": pa.array([[phone, None] for phone in PHONES]),
    "卡号": pa.array([4222020000000000 + 10_000_019 * n for n in range(20)]),  # with leading zeros it becomes text
    "messages": pa.array([[{"role": "user", "content": text}] for text in TEXTS]),
    "map": pa.array([[("手机", str(phone))] for phone in PHONES], pa.map_(pa.string(), pa.string())),
    "json": pa.array([json.dumps({"a": text}) for text in TEXTS], pa.json_()),
    "small": pa.array([n % 7 for n in range(20)], pa.int8()),
}


@pytest.mark.parametrize("batch", [1, 1_000])
def test_they_show_neither_in_values_nor_in_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    source = tmp_path / "data.parquet"
    pq.write_table(pa.table(COLUMNS), source, row_group_size=12)
    whole = deidentify_file(source, tmp_path / "whole", ZH, KEYS)
    monkeypatch.setattr(parquet, "_BATCH", batch)
    steps = list[int]()
    report = deidentify_file(source, tmp_path / "out", ZH, KEYS, progress=lambda at, _: steps.append(at))
    assert len(steps) > 2
    before, after = pq.ParquetFile(tmp_path / "whole"), pq.ParquetFile(tmp_path / "out")
    for group, rows in enumerate([12, 8]):
        new = after.read_row_group(group)
        assert new.num_rows == rows
        assert new.equals(before.read_row_group(group))
        assert "138123" not in str(new.to_pylist())
    assert after.schema_arrow == before.schema_arrow
    assert (report.counts, report.records) == (whole.counts, 20)


def test_progress_moves_and_cancelling_works_within_a_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_BATCH", 1)
    pq.write_table(pa.table({"a": TEXTS}), tmp_path / "data.parquet")
    size, steps, canceled = (tmp_path / "data.parquet").stat().st_size, list[int](), threading.Event()
    deidentify_file(tmp_path / "data.parquet", tmp_path / "out", ZH, KEYS, progress=lambda at, _: steps.append(at))
    assert len(steps) == 20
    assert steps == sorted({*steps, size})
    with pytest.raises(Canceled):
        deidentify_file(
            tmp_path / "data.parquet", tmp_path / "no", ZH, KEYS, canceled=canceled, progress=lambda *_: canceled.set()
        )


@pytest.mark.parametrize("rows", [0, 2**20 + 1])
def test_row_groups_of_any_size_stay_whole(tmp_path: Path, rows: int) -> None:
    table = pa.table({"a": pa.repeat(True, rows)})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=2**21)
    deidentify_file(tmp_path / "data.parquet", tmp_path / "out", ZH, KEYS)
    after = pq.ParquetFile(tmp_path / "out")
    assert after.num_row_groups == pq.ParquetFile(tmp_path / "data.parquet").num_row_groups
    assert after.read().equals(table)
