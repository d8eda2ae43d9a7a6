"""Names of fields that are data: others afterwards, and as many as before, whatever the policy does to values."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.deid import policies
from services.runtime.deid.engine import Deidentifier, Result
from services.runtime.deid.files import deidentify_file
from services.runtime.deid.keys import Keys
from services.runtime.deid.policies import Policy

KEYS = Keys(bytes(32))
ACTIONS = ("replace", "redact", "mask", "hash", "pseudonymise", "date_shift")
ALIKE = ACTIONS[:4]
TYPES = ("CN_PHONE", "CN_ID", "EMAIL", "DATE", "IPV4", "API_KEY", "URL", "NUMBER")
SPELLINGS = (
    "13812345678", "138 1234 5678", "138-1234-5678", "１３８１２３４５６７８", "13912345678", "Zs@qq.com", "zs@qq.com",
    "1980年5月3日", "1980-05-03", "192.168.1.10", "192.168.001.010", "sk-proj-abcdefghij0123456789ABCDEFGHIJ",
    "7654321", "https://foo.com/a13812345678", "http://foo.com/a13812345678",
)  # fmt: skip


@cache
def policy(action: str) -> Policy:
    rules = {kind: {"action": action} for kind in TYPES if action != "date_shift" or kind == "DATE"}
    return policies.load(json.dumps({"id": "p", "version": "1", "types": rules}).encode())


def done(action: str, document: object) -> Result:
    return Deidentifier(policy(action), KEYS).texts([json.dumps(document, ensure_ascii=False)], format="json")


@settings(deadline=None)
@given(
    action=st.sampled_from(ACTIONS),
    names=st.lists(st.builds(str.__add__, st.sampled_from(["", "a ", '"']), st.sampled_from(SPELLINGS)), unique=True),
    escaped=st.booleans(),
    depth=st.integers(0, 2),
)
def test_as_many_names_as_before(action: str, names: list[str], depth: int, *, escaped: bool) -> None:
    """Also of JSON within strings."""
    text = json.dumps(dict.fromkeys(names, ""), ensure_ascii=escaped)
    for _ in range(depth):
        text = json.dumps({"a": text}, ensure_ascii=escaped)
    [after] = Deidentifier(policy(action), KEYS).texts([text], format="json").texts
    for _ in range(depth):
        after = json.loads(after)["a"]
    assert len(json.loads(after)) == len(names)


@pytest.mark.parametrize("action", ALIKE)
def test_names_are_hashed_where_their_values_would_be_one(action: str) -> None:
    [hashed] = done("hash", ["13812345678"]).texts
    [tag] = json.loads(hashed)
    found = done(action, {"13812345678": "13812345678", "a": {"x 13912345678": 0, "13712345678\n": 0}})
    first, rest = json.loads(found.texts[0]).values()
    assert json.loads(found.texts[0]).keys() == {tag, "a"}
    assert (first == tag) == (action == "hash")
    assert [len(name) for name in rest] == [len(f"x {tag}"), len(f"{tag}\n")]
    assert found.counts == {"CN_PHONE": 4}


@pytest.mark.parametrize("action", ALIKE)
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (pa.string(), ["13812345678", "13912345678"]),
        (pa.dictionary(pa.int8(), pa.string()), ["13812345678", "13912345678"]),
        (pa.int64(), [13812345678, 13912345678]),
        (pa.binary(), [b"13812345678", b"13912345678"]),
    ],
)
def test_keys_of_maps_are_names(tmp_path: Path, action: str, kind: pa.DataType, keys: list[object]) -> None:
    given = pa.array([[(key, 1) for key in keys]], pa.map_(kind, pa.int8()))
    pq.write_table(pa.table({"a": given}), tmp_path / "in.parquet")
    report = deidentify_file(tmp_path / "in.parquet", tmp_path / "out.parquet", policy(action), KEYS)
    [row] = pq.read_table(tmp_path / "out.parquet")["a"].to_pylist()
    assert len({key for key, _ in row} - set(keys)) == len(keys)
    assert report.counts == {"CN_PHONE": 2}


@pytest.mark.parametrize("action", ALIKE)
def test_names_in_files(tmp_path: Path, action: str) -> None:
    (tmp_path / "in.jsonl").write_text('{"13812345678": 1, "13912345678": 2}\n')
    deidentify_file(tmp_path / "in.jsonl", tmp_path / "out", policy(action), KEYS)
    assert sorted(json.loads((tmp_path / "out").read_text()).values()) == [1, 2]
