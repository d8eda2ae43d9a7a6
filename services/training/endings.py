"""Why an attempt ended as it did."""

from __future__ import annotations

import signal
from pathlib import Path

from events.runs import FailureCause
from services.runtime.children import Ended, Lost
from services.training.executors import Place


def overtime_mark(place: Place) -> Path:
    """Is there once the attempt had run for as long as it may: whatever ends it from then on is that."""
    return place.directory / "overtime"


def explain(state: Ended | Lost) -> tuple[int | None, FailureCause | None, str | None]:
    """Exit code, cause and a Chinese sentence; the latter two none for exit code 0."""
    if isinstance(state, Lost):
        return None, "lost", "训练进程已消失且没有留下退出码（可能与其包装进程一起被终止，或主机、容器已重启）"
    code = state.exit_code
    if state.refused is not None:
        return code, "launch", state.refused
    if code == 0:
        return code, None, None
    if state.out_of_memory:
        return code, "out_of_memory", f"训练进程因内存不足被内核终止（退出码 {code}）"
    if code > 128:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            return code, "exit", f"训练命令以退出码 {code} 结束"
        hint = "，可能是内存不足" if name == "SIGKILL" else ""
        return code, "signal", f"训练进程被信号 {name} 终止（退出码 {code}{hint}）"
    return code, "exit", f"训练命令以退出码 {code} 结束"
