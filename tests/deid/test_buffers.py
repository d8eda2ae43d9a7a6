"""Runs of digits, which are looked for block by block."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.deid.buffers import BLOCK, Runs


@given(st.sampled_from((0, BLOCK - 2, 2 * BLOCK - 2)), st.text("0a9", max_size=6))
def test_a_run_may_go_on_in_the_next_block(before: int, end: str) -> None:
    content = ("a" * before + end).encode()
    runs = Runs.of(np.frombuffer(content, dtype=np.uint8))
    found = list(zip(runs.starts.tolist(), runs.ends.tolist(), strict=True))
    assert found == [run.span() for run in re.finditer(rb"[0-9]+", content)]


def test_a_block_may_be_of_digits_alone() -> None:
    runs = Runs.of(np.full(3 * BLOCK, ord("7"), dtype=np.uint8))
    assert (runs.starts.tolist(), runs.digits.tolist()) == ([0], [3 * BLOCK])
