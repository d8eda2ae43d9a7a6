"""Why an attempt ended as it did."""

from __future__ import annotations

import signal
from pathlib import Path

from events.runs import FailureCause
from services.runtime.children import Ended, Lost, Reason
from services.training.executors import Place


def overtime_mark(place: Place) -> Path:
    """Is there once the attempt had run for as long as it may: whatever ends it from then on is that."""
    return place.directory / "overtime"


def explain(state: Ended | Lost) -> tuple[int | None, FailureCause | None, Reason | None]:
    """Exit code, cause and reason; the latter two none for exit code 0."""
    if isinstance(state, Lost):
        return None, "lost", _LOST
    code = state.exit_code
    if state.refused is not None:
        return code, "launch", state.refused
    if code == 0:
        return code, None, None
    if state.out_of_memory:
        return code, "out_of_memory", _out_of_memory(code)
    if code > 128:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            return code, "exit", _exit(code)
        return code, "signal", _signal(code, name)
    return code, "exit", _exit(code)


def overtime(seconds: float | None) -> Reason:
    assert seconds is not None  # what has no limit does not pass it
    return Reason(
        f"超过最长运行时间 {seconds:g} 秒，已停止训练", f"it ran for longer than {seconds:g} s and was stopped"
    )


def directory_gone(directory: Path) -> Reason:
    return Reason(
        f"训练的运行目录 {directory} 已被删除，无法得知训练的结果",
        f"the run's directory {directory} was deleted, so nobody can tell what became of it",
    )


_LOST = Reason(
    "训练进程已消失且没有留下退出码（可能与其包装进程一起被终止，或主机、容器已重启）",
    "the training process is gone and left no exit code (killed together with its wrapper, or the host or container"
    " was restarted)",
)


def _out_of_memory(code: int) -> Reason:
    return Reason(
        f"训练进程因内存不足被内核终止（退出码 {code}）",
        f"the kernel killed the training process for lack of memory (exit code {code})",
    )


def _signal(code: int, name: str) -> Reason:
    zh, en = ("，可能是内存不足", ", perhaps for lack of memory") if name == "SIGKILL" else ("", "")
    return Reason(
        f"训练进程被信号 {name} 终止（退出码 {code}{zh}）",
        f"the training process was ended by the signal {name} (exit code {code}{en})",
    )


def _exit(code: int) -> Reason:
    return Reason(f"训练命令以退出码 {code} 结束", f"the training command ended with exit code {code}")
