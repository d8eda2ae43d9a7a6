"""What an exit code says, and what only the kernel can."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from services.runtime.children import Ended, Lost, Reason, wrapped
from services.training.endings import explain
from services.training.executors import Place


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (Ended(0), None),
        (Ended(1), "exit"),
        (Ended(137), "signal"),
        (Ended(137, out_of_memory=True), "out_of_memory"),
        (Ended(143), "signal"),
        (Ended(127, Reason("找不到命令：x", "there is no such command: x")), "launch"),
        (Ended(250), "exit"),
        (Lost(), "lost"),
    ],
)
def test_causes(state: Ended | Lost, cause: str | None) -> None:
    code, found, reason = explain(state)
    assert found == cause
    assert (reason is None) == (cause is None)
    assert code == (state.exit_code if isinstance(state, Ended) else None)


@pytest.mark.parametrize(("text", "evident"), [("137 1.5 oom\n", True), ("137 1.5\n", False)])
def test_memory_is_the_cause_only_where_the_kernel_says_so(tmp_path: Path, text: str, evident: bool) -> None:
    place = Place(uuid4(), 1, tmp_path)
    (place.directory / "exit").write_text(text)
    assert wrapped.ended(place) == Ended(137, out_of_memory=evident)
